package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// scrape reads the daemon's metrics.
func (s *system) scrape(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	exportedMetric = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{| )`)
	queriedMetric  = regexp.MustCompile(`\b(?:sluice|process|go)_[a-z_]+`)
)

// Every metric that the dashboard asks for is one that the daemon exports, once all has happened that it counts.
func TestDashboardAsksForExportedMetrics(t *testing.T) {
	invokeSimple(t)
	spec := "apiVersion: sluice/v1\nkind: Function\nname: broken\nimage: simple:latest\ncommand: [/app/none]\nscale: {start_timeout_s: 5}\n"
	deploy := sluiceCommand(t, "deploy", "-f", "-")
	deploy.Stdin = strings.NewReader(spec)
	output(t, deploy)
	defer sluice(t, "remove", "broken")
	if out, err := sluiceCommand(t, "invoke", "broken", "--address", running.address, simpleRequest).CombinedOutput(); err == nil {
		t.Errorf("a function without a program answers: %s", out)
	}
	if out, err := sluiceCommand(t, "run", "--memory", "1Mi", "--", "clinfo", "-l").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	exported := make(map[string]bool)
	for _, match := range exportedMetric.FindAllStringSubmatch(running.scrape(t), -1) {
		exported[match[1]] = true
	}
	text, err := os.ReadFile(filepath.Join(running.root, "deploy/grafana/sluice.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries++
			metrics := queriedMetric.FindAllString(target.Expr, -1)
			if len(metrics) == 0 {
				t.Errorf("%s: no metric in %s", panel.Title, target.Expr)
			}
			for _, metric := range metrics {
				if !exported[metric] {
					t.Errorf("%s: %s is not exported", panel.Title, metric)
				}
			}
		}
	}
	if queries < 15 {
		t.Errorf("%d queries only: has the form of the dashboard changed?", queries)
	}
	// What the page on metrics describes exists too.
	page, err := os.ReadFile(filepath.Join(running.root, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range regexp.MustCompile("`(sluice_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		if !exported[metric[1]] && !exported[metric[1]+"_count"] && !rare[metric[1]] {
			t.Errorf("docs/metrics.md: %s is not exported", metric[1])
		}
	}
}

// rare metrics count what need not have happened yet.
var rare = map[string]bool{"sluice_instance_stops_total": true, "sluice_device_health_events_total": true}

// systemd itself reads the unit; only the program's path is another one here.
func TestUnitIsRight(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze on this host")
	}
	text, err := os.ReadFile(filepath.Join(running.root, "deploy/sluice.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "sluice.service")
	text = bytes.ReplaceAll(text, []byte("/usr/local/bin/sluice"), []byte(running.binary("sluice")))
	if err := os.WriteFile(unit, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput() // also complains of the host's other units
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "sluice") {
			t.Error(line)
		}
	}
	if !bytes.Contains(text, []byte("\nKillMode=process\n")) {
		t.Error("systemd would end the workers with the daemon")
	}
}

func TestPullFromARegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	image := strings.TrimPrefix(server.URL, "http://") + "/examples/simple:v1"
	archive, unpacked := filepath.Join(t.TempDir(), "simple.tar"), t.TempDir()
	sluice(t, "image", "build", filepath.Join(running.folder, "simple"), "-t", "simple", "--archive", archive)
	output(t, exec.Command("tar", "-xf", archive, "-C", unpacked))
	index, err := layout.ImageIndexFromPath(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	built, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, built); err != nil {
		t.Fatal(err)
	}
	if out := sluice(t, "image", "pull", image); strings.TrimSpace(out) != "pulled "+image {
		t.Errorf("printed %q", out)
	}
	// What was pulled runs.
	deploy := sluiceCommand(t, "deploy", "-f", "-")
	deploy.Stdin = strings.NewReader("apiVersion: sluice/v1\nkind: Function\nname: pulled\nimage: " + image +
		"\ndevice: {api: opencl, memory: 64Mi}\nbatch: {max_size: 8}\n")
	output(t, deploy)
	defer sluice(t, "remove", "pulled")
	sluice(t, "invoke", "pulled", "--address", running.address, simpleRequest)

	missing := sluiceCommand(t, "image", "pull", image+"-none")
	out, err := missing.CombinedOutput()
	if err == nil || missing.ProcessState.ExitCode() != 4 {
		t.Errorf("an image that is not there: %v, %s", err, out)
	}
}

func TestDescribe(t *testing.T) {
	invokeSimple(t)
	var described struct {
		Function  struct{ Name, Version string }
		Spec      struct{ Device struct{ Memory string } }
		Instances []struct{ State, Lease string }
		Leases    []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(sluice(t, "describe", "simple", "-o", "json")), &described); err != nil {
		t.Fatal(err)
	}
	if described.Function.Name != "simple" || described.Spec.Device.Memory != "64Mi" || len(described.Instances) == 0 || len(described.Leases) == 0 ||
		described.Leases[0].ID != described.Instances[0].Lease {
		t.Errorf("described %+v", described)
	}
	// What is shown as its specification can be deployed as it is.
	out := sluice(t, "describe", "simple")
	start, end := strings.Index(out, "  apiVersion"), strings.Index(out, "\nID ")
	if start < 0 || end < start {
		t.Fatal(out)
	}
	deploy := sluiceCommand(t, "deploy", "-f", "-")
	deploy.Stdin = strings.NewReader(strings.Replace(out[start:end], "name: simple", "name: copied", 1))
	output(t, deploy)
	sluice(t, "remove", "copied")
	missing := sluiceCommand(t, "describe", "none")
	if err := missing.Run(); err == nil || missing.ProcessState.ExitCode() != 4 {
		t.Errorf("a function that is not there: %v", err)
	}
	if out := sluice(t, "__complete", "describe", ""); !strings.Contains(out, "simple\n") {
		t.Errorf("completes to %q", out)
	}
}

func TestTop(t *testing.T) {
	invokeSimple(t) // so that an instance is there
	watching := sluiceCommand(t, "top", "--interval", "100ms", "-o", "json")
	stdout, err := watching.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watching.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = watching.Process.Kill()
		_ = watching.Wait()
	}()
	type row struct {
		Function          string
		Instances         int
		RequestsPerSecond float64 `json:"requests_per_second"`
		BatchRows         float64 `json:"batch_rows"`
		SliceMemoryBytes  uint64  `json:"slice_memory_bytes"`
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = exec.Command(running.binary("sluice"), "invoke", "simple", "--address", running.address, simpleRequest).Run()
			}
		}
	}()
	deadline := time.Now().Add(startBound)
	for decoder := json.NewDecoder(stdout); ; {
		var rows []row
		if err := decoder.Decode(&rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Function == "simple" && r.Instances > 0 && r.RequestsPerSecond > 0 && r.BatchRows >= 1 && r.SliceMemoryBytes >= 64<<20 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("never showed simple at work; last %+v", rows)
		}
	}
}

// Followed logs show what an instance writes after the command began.
func TestFollowLogs(t *testing.T) {
	following := sluiceCommand(t, "logs", "-f", "chatty")
	deploy := sluiceCommand(t, "deploy", "-f", "-")
	deploy.Stdin = strings.NewReader("apiVersion: sluice/v1\nkind: Function\nname: chatty\nimage: simple:latest\ndevice: {api: opencl, memory: 64Mi}\nbatch: {max_size: 8}\n")
	output(t, deploy)
	defer sluice(t, "remove", "chatty")
	stdout, err := following.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := following.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(startBound, func() { _ = following.Process.Kill() })
	defer timer.Stop()
	sluice(t, "invoke", "chatty", "--address", running.address, simpleRequest)
	if n, err := stdout.Read(make([]byte, 1)); n != 1 {
		t.Errorf("nothing was followed: %v", err)
	}
	_ = following.Process.Signal(os.Interrupt)
	if err := following.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// The image of sluice, made by sluice, is a daemon that lends this host's devices and runs functions beside itself.
func TestImageOfSluice(t *testing.T) {
	folder := filepath.Join(running.folder, "image")
	for path, in := range map[string]string{
		"build/bin/sluice": "bin", "build/bin/sluice-worker": "bin", "build/lib/sluice": "lib", "deploy/image/image.yaml": "",
	} {
		if err := os.MkdirAll(filepath.Join(folder, in), 0o755); err != nil {
			t.Fatal(err)
		}
		output(t, exec.Command("cp", "-r", filepath.Join(running.root, path), filepath.Join(folder, in)))
	}
	sluice(t, "image", "build", folder, "-t", "sluice")
	inner := system{root: running.root, folder: running.folder, containerd: running.containerd}
	if err := inner.choosePorts(); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(running.folder, "inner")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	// The network is the host's, without its /etc/hosts and /etc/resolv.conf as --net-host has: a minimal host has none.
	daemon := exec.Command("ctr", "--address", running.containerd, "--namespace", "sluice-e2e", "run", "--rm", "--privileged",
		"--with-ns", fmt.Sprintf("network:/proc/%d/ns/net", os.Getpid()),
		"--mount", "type=bind,src="+running.folder+",dst="+running.folder+",options=rbind:rw",
		"--mount", "type=bind,src=/usr,dst=/usr,options=rbind:ro",
		"--mount", "type=bind,src=/etc/OpenCL,dst=/etc/OpenCL,options=rbind:ro",
		"--mount", "type=bind,src=/sys/fs/cgroup,dst=/sys/fs/cgroup,options=rbind:rw",
		"sluice:latest", "sluice-in-a-container", "/app/bin/sluice", "serve", "--state", state, "--listen", inner.address, "--http-listen", inner.http, "--metrics-listen", inner.metrics,
		"--containerd-address", running.containerd, "--containerd-namespace", "sluice-inner")
	var logged bytes.Buffer
	daemon.Stdout, daemon.Stderr = &logged, &logged
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	command := func(arguments ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), running.binary("sluice"), append([]string{"--state", state}, arguments...)...)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	defer func() {
		if out, err := command("drain").CombinedOutput(); err != nil {
			t.Errorf("drain: %v: %s", err, out)
			_ = daemon.Process.Kill()
		}
		if err := <-ended; err != nil || t.Failed() {
			t.Errorf("the daemon ended with %v:\n%s", err, logged.String())
		}
	}()
	for deadline := time.Now().Add(startBound); command("devices").Run() != nil; time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatal("no daemon answers")
		}
	}
	if out := output(t, command("devices")); !strings.Contains(out, "opencl-0-0") {
		t.Errorf("its pool:\n%s", out)
	}
	output(t, command("image", "build", filepath.Join(running.folder, "simple"), "-t", "simple"))
	output(t, command("deploy", "-f", filepath.Join(running.root, "examples/simple/function.yaml")))
	output(t, command("invoke", "simple", "--address", inner.address, simpleRequest))
}

const pollInterval = 100 * time.Millisecond
