package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const simpleRequest = `{"inputs": [
	{"name": "INPUT0", "datatype": "INT32", "shape": [1, 16], "data": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]},
	{"name": "INPUT1", "datatype": "INT32", "shape": [1, 16], "data": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}]}`

// invokeSimple asks simple for sums and differences, and checks them.
func invokeSimple(t *testing.T) {
	t.Helper()
	out := sluice(t, "invoke", "simple", "--address", running.address, simpleRequest)
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
	if _, err := os.Stat(filepath.Join(venv, "lib/python3.11/site-packages/tritonclient/grpc")); err != nil {
		output(t, exec.Command(python, "-m", "venv", venv))
		output(t, exec.Command(filepath.Join(venv, "bin/pip"), "install", "--quiet", "tritonclient[grpc]==2.73.0"))
	}
	out := output(t, exec.Command(filepath.Join(venv, "bin/python"), "testdata/simple_flow.py", running.address))
	if !strings.Contains(out, "PASS: simple flow") {
		t.Error(out)
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
