package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const simpleRequest = `{"inputs": [
	{"name": "INPUT0", "datatype": "INT32", "shape": [1, 16], "data": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]},
	{"name": "INPUT1", "datatype": "INT32", "shape": [1, 16], "data": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}]}`

func invokeSimple(t *testing.T) {
	t.Helper()
	invoke(t, "simple")
}

// invoke asks a function whose program is simple for sums and differences, and checks them.
func invoke(t *testing.T, function string) {
	t.Helper()
	out := sluice(t, "invoke", function, "--address", running.address, simpleRequest)
	var answer struct {
		Outputs []struct {
			Name string
			Data []int
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Outputs) != 2 {
		t.Fatalf("%v in %s", err, out)
	}
	for i := range 16 {
		if sum, difference := answer.Outputs[0].Data[i], answer.Outputs[1].Data[i]; sum != i+1 || difference != i-1 {
			t.Errorf("element %d: sum %d, difference %d", i, sum, difference)
		}
	}
}

func TestInvoke(t *testing.T) {
	invokeSimple(t)
}

func TestTritonClientFlow(t *testing.T) {
	venv := filepath.Join(running.root, "build/venv")
	for _, part := range []string{"gevent", "grpc"} { // what the client's two halves need
		if _, err := os.Stat(filepath.Join(venv, "lib/python3.11/site-packages", part)); err != nil {
			output(t, exec.Command(python, "-m", "venv", venv))
			output(t, exec.Command(filepath.Join(venv, "bin/pip"), "install", "--quiet", "tritonclient[grpc,http]==2.73.0"))
		}
	}
	for _, run := range [][]string{
		{"testdata/simple_flow.py", running.address},
		{"testdata/simple_http_flow.py", running.http},
		{"testdata/shared_memory_flow.py", "grpc", running.address},
		{"testdata/shared_memory_flow.py", "http", running.http},
	} {
		out := output(t, exec.Command(filepath.Join(venv, "bin/python"), run...))
		if !strings.Contains(out, "PASS: ") {
			t.Errorf("%s: %s", run, out)
		}
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	grpcurl := func(arguments ...string) string {
		command := exec.Command("go", append([]string{"tool", "-modfile=tools/go.mod", "grpcurl", "-plaintext"}, arguments...)...)
		command.Dir = running.root
		return output(t, command)
	}
	list := grpcurl(running.address, "list")
	for _, want := range []string{"inference.GRPCInferenceService", "grpc.health.v1.Health"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s in\n%s", want, list)
		}
	}
	ready := grpcurl("-d", `{"name": "simple"}`, running.address, "inference.GRPCInferenceService/ModelReady")
	if !strings.Contains(ready, `"ready": true`) {
		t.Error(ready)
	}
}

// A whole server's health is asked for with an empty name, a function's with its own (grpc.health.v1).
func TestHealth(t *testing.T) {
	conn, err := grpc.NewClient(running.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := grpc_health_v1.NewHealthClient(conn)
	for _, service := range []string{"", "inference.GRPCInferenceService"} {
		response, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || response.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, response.GetStatus(), err)
		}
	}
}

// A function deployed anew answers, one that was removed does not, and a wrong file is refused by its field.
func TestDeployAndRemove(t *testing.T) {
	file := filepath.Join(t.TempDir(), "function.yaml")
	text, err := os.ReadFile(filepath.Join(running.root, "examples/simple/function.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(text), "name: simple", "name: twin", 1))
	sluice(t, "deploy", "-f", file)
	if list := sluice(t, "functions"); !strings.Contains(list, "twin") {
		t.Errorf("twin is not listed:\n%s", list)
	}
	sluice(t, "invoke", "twin", "--address", running.address, simpleRequest)
	sluice(t, "remove", "twin")
	if list := sluice(t, "functions"); strings.Contains(list, "twin") {
		t.Errorf("twin is still listed:\n%s", list)
	}
	out, err := sluiceCommand(t, "invoke", "twin", "--address", running.address, simpleRequest).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "twin") {
		t.Errorf("got %v: %s, want an error that names the function", err, out)
	}

	write(string(text) + "colour: red\n")
	if out, err := sluiceCommand(t, "deploy", "-f", file).CombinedOutput(); err == nil || !strings.Contains(string(out), "colour") {
		t.Errorf("got %v: %s, want an error that names the field", err, out)
	}
}

// An API key makes its caller the tenant, who sees its own functions and nobody else's.
func TestTenantsAreApart(t *testing.T) {
	key := strings.TrimSpace(sluice(t, "tenants", "create", "acme"))
	invokeWithKey := func() ([]byte, error) {
		return sluiceCommand(t, "invoke", "simple", "--key", key, "--address", running.address, simpleRequest).CombinedOutput()
	}
	if out, err := invokeWithKey(); err == nil || !strings.Contains(string(out), "not found") {
		t.Errorf("acme reaches the default tenant's function: %v: %s", err, out)
	}
	sluice(t, "--tenant", "acme", "deploy", "-f", filepath.Join(running.root, "examples/simple/function.yaml"))
	defer sluice(t, "--tenant", "acme", "remove", "simple")
	if out, err := invokeWithKey(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := sluiceCommand(t, "invoke", "simple", "--key", "sluice_wrong", "--address", running.address, simpleRequest).CombinedOutput(); err == nil {
		t.Errorf("a key that is nobody's works: %s", out)
	}
	if leases := sluice(t, "leases"); !strings.Contains(leases, "acme") {
		t.Errorf("no lease is acme's:\n%s", leases)
	}
}

// classify fails if one prediction differs from the plain Go reference or the accuracy is below 0.95.
func TestDigitsAreClassified(t *testing.T) {
	command := exec.Command("go", "run", "./examples/digits/classify", "-address", running.address)
	command.Dir = running.root
	out := output(t, command)
	if !strings.Contains(out, "accuracy: 0.9") {
		t.Error(out)
	}
}

// A function's process has no driver mapped and no device node but the harmless ones; its worker has the driver.
func TestFunctionHasNoDriver(t *testing.T) {
	invokeSimple(t)
	var instances []struct {
		ID  string
		PID int
	}
	if err := json.Unmarshal([]byte(sluice(t, "instances", "simple", "-o", "json")), &instances); err != nil || len(instances) == 0 {
		t.Fatalf("instances of simple: %v, %v", instances, err)
	}
	driver := regexp.MustCompile(`(?i)pocl|llvm`)
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", instances[0].PID))
	if err != nil {
		t.Fatal(err)
	}
	if found := driver.Find(maps); found != nil {
		t.Errorf("the function's process maps %s", found)
	}
	if !strings.Contains(string(maps), "libsluice-opencl.so") {
		t.Error("the function's process does not map the shim: is it the function's?")
	}
	worker, err := workerOf(t, instances[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if maps, err = os.ReadFile(fmt.Sprintf("/proc/%d/maps", worker)); err != nil || !driver.Match(maps) {
		t.Errorf("worker %d maps no driver: %v", worker, err)
	}

	harmless := []string{"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/dev", instances[0].PID))
	if err != nil || len(entries) == 0 {
		t.Fatalf("/dev of the function: %d entries, %v", len(entries), err)
	}
	for _, entry := range entries {
		if entry.Type()&fs.ModeDevice != 0 && !slices.Contains(harmless, entry.Name()) {
			t.Errorf("the function sees /dev/%s", entry.Name())
		}
	}
}

// Without requests a function has no instance and no lease; the next request starts it again.
func TestScaleToZeroAndBack(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(running.root, "examples/simple/function.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("name: simple", "name: sleeper", "idle_s: 60", "idle_s: 1").Replace(string(text))
	file := filepath.Join(t.TempDir(), "function.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	sluice(t, "deploy", "-f", file)
	defer sluice(t, "remove", "sleeper")
	for range 2 {
		sluice(t, "invoke", "sleeper", "--address", running.address, simpleRequest)
		for deadline := time.Now().Add(startBound); strings.Contains(sluice(t, "instances"), "sleeper"); {
			if time.Now().After(deadline) {
				t.Fatalf("still there after %s:\n%s", startBound, sluice(t, "instances"))
			}
		}
		if leases := sluice(t, "leases"); strings.Contains(leases, "sleeper") {
			t.Errorf("a lease is left:\n%s", leases)
		}
	}
}
