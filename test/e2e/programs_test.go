package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const python = "/usr/bin/python3" // Debian's, which sees Debian's pyopencl

// Every line of clinfo that differs from the bare driver's must be listed in docs/differences.md, and every row there must
// still be true.
func TestClinfoEqualsBareDriver(t *testing.T) {
	bare := parseClinfo(output(t, exec.Command("clinfo", "--raw")))
	ours := parseClinfo(sluice(t, "run", "--memory", "256Mi", "--", "clinfo", "--raw"))
	listed := listedDifferences(t)
	differs := make(map[string]bool)
	for property := range merge(bare, ours) {
		if bare[property] == ours[property] {
			continue
		}
		differs[property] = true
		if !listed[property] {
			t.Errorf("%s: bare %q, ours %q: not listed in docs/differences.md", property, bare[property], ours[property])
		}
	}
	for property := range listed {
		if !differs[property] {
			t.Errorf("docs/differences.md lists %s, which does not differ", property)
		}
	}
	if !differs["CL_DEVICE_GLOBAL_MEM_SIZE"] || ours["CL_DEVICE_GLOBAL_MEM_SIZE"] != "268435456" {
		t.Errorf("CL_DEVICE_GLOBAL_MEM_SIZE is %q, want the slice's 268435456", ours["CL_DEVICE_GLOBAL_MEM_SIZE"])
	}
}

var clinfoLine = regexp.MustCompile(`^\s*(?:\[\S+\])?\s*(#[A-Z]+|[A-Z][A-Z0-9_]+)\s+(.*)$`)

// parseClinfo maps a property to its values, in the order in which they are printed.
func parseClinfo(text string) map[string]string {
	properties := make(map[string]string)
	for line := range strings.Lines(text) {
		if match := clinfoLine.FindStringSubmatch(strings.TrimRight(line, " \n")); match != nil {
			if properties[match[1]] != "" {
				properties[match[1]] += " | "
			}
			properties[match[1]] += match[2]
		}
	}
	return properties
}

// listedDifferences reads the first column of the table in docs/differences.md.
func listedDifferences(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, match := range regexp.MustCompile("(?m)^\\| `([#A-Z0-9_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		listed[match[1]] = true
	}
	if len(listed) == 0 {
		t.Fatal("docs/differences.md has no rows")
	}
	return listed
}

func merge(maps ...map[string]string) map[string]bool {
	keys := make(map[string]bool)
	for _, m := range maps {
		for key := range m {
			keys[key] = true
		}
	}
	return keys
}

func TestClpeakCompletes(t *testing.T) {
	out := sluice(t, "run", "--memory", "1Gi", "--", "clpeak", "--kernel-latency", "--transfer-bandwidth")
	for _, want := range []string{"Kernel launch latency", "enqueueWriteBuffer", "enqueueReadBuffer", "memcpy to mapped ptr"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestPyOpenCLAddsVectors(t *testing.T) {
	if out := sluice(t, "run", "--memory", "64Mi", "--", python, "testdata/vector_add.py"); !strings.HasPrefix(out, "right:") {
		t.Error(out)
	}
}

func TestTwoProgramsAtOnce(t *testing.T) {
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			out, err := sluiceCommand(t, "run", "--memory", "64Mi", "--", python, "testdata/vector_add.py", "200").Output()
			if err != nil || !strings.HasPrefix(string(out), "right: 200") {
				t.Errorf("%v: %s", explain(err), out)
			}
		})
	}
	group.Wait()
}

// Two vendors' drivers are in one pool, and a program gets the device that it names, while the other is at work too.
func TestPlatformsInOnePool(t *testing.T) {
	vendors := t.TempDir()
	for name, driver := range map[string]string{"pocl": "libpocl.so.2", "oclgrind": "/usr/lib/oclgrind/liboclgrind-rt-icd.so"} {
		if err := os.WriteFile(filepath.Join(vendors, name+".icd"), []byte(driver+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	both := startAnother(t, "OCL_ICD_VENDORS="+vendors)
	devices := regexp.MustCompile(`(?m)^(opencl-\d+-\d+) .*\s{2,}(.+)$`).FindAllStringSubmatch(output(t, both.command(t, "devices")), -1)
	if len(devices) != 2 || devices[0][2] == devices[1][2] {
		t.Fatalf("the pool has %q, want a device of each of two drivers", devices)
	}
	var group sync.WaitGroup
	for _, device := range devices {
		group.Go(func() {
			out, err := both.command(t, "run", "--memory", "64Mi", "--device", device[1], "--", python, "../../examples/programs/vector_add.py").Output()
			if err != nil || !strings.HasPrefix(string(out), "device: "+device[2]+"\n") || !strings.Contains(string(out), "sums are right") {
				t.Errorf("%s (%s): %v: %s", device[1], device[2], explain(err), out)
			}
		})
	}
	group.Wait()
}

// A program that names two devices of one driver has both in one context.
func TestSeveralDevicesOfOneDriver(t *testing.T) {
	two := startAnother(t, "POCL_DEVICES=pthread pthread")
	got := output(t, two.command(t, "run", "--memory", "64Mi", "--device", "opencl-0-0,opencl-0-1", "--", python, "testdata/two_devices.py"))
	if ok, _ := regexp.MatchString(`^pthread-.* 67108864\npthread-.* 67108864\nright\n$`, got); !ok {
		t.Errorf("the program says %q", got)
	}
	two.deploySimple(t, "{api: opencl, memory: 64Mi, count: 2}")
	output(t, two.command(t, "invoke", "simple", "--address", two.address, simpleRequest))
	if leases := output(t, two.command(t, "leases")); !strings.Contains(leases, "opencl-0-0,opencl-0-1") {
		t.Errorf("the function's instance holds:\n%s", leases)
	}
	out, err := two.command(t, "run", "--device", "opencl-0-1,opencl-0-1", "--", "true").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "device opencl-0-1 twice") {
		t.Errorf("got %v: %s, want an error that names the device", err, out)
	}
}

// startAnother starts a daemon beside the one that all tests share, with more variables, until the test ends.
func startAnother(t *testing.T, variables ...string) *system {
	t.Helper()
	another := &system{root: running.root, folder: t.TempDir(), sandbox: "process", variables: variables}
	if err := another.choosePorts(); err != nil {
		t.Fatal(err)
	}
	if err := another.startDaemon(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := another.stopDaemon(); err != nil {
			t.Error(err)
		}
	})
	return another
}

// deploySimple deploys simple as a plain process with a device.
func (s *system) deploySimple(t *testing.T, device string) {
	t.Helper()
	file := filepath.Join(s.folder, "function.yaml")
	yaml := "apiVersion: sluice/v1\nkind: Function\nname: simple\ncommand: [" + filepath.Join(running.folder, "simple/simple") + "]\n" +
		"device: " + device + "\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, s.command(t, "deploy", "-f", file))
}

// The program's exit code is the command's, and nothing stays leased.
func TestRunEndsAsItsProgram(t *testing.T) {
	err := sluiceCommand(t, "run", "--", "sh", "-c", "exit 7").Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 {
		t.Errorf("got %v, want exit code 7", err)
	}
	command := sluiceCommand(t, "run", "--", "sh", "-c", "echo ready; read never")
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	lines := startAndScan(t, command)
	lines.Scan()
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if exit, ok := command.Wait().(*exec.ExitError); !ok || exit.ExitCode() != 128+2 {
		t.Errorf("got %v, want exit code 130: the program gets the interrupt", exit)
	}
	if leases := sluice(t, "leases"); strings.Contains(leases, "run:") {
		t.Errorf("still leased:\n%s", leases)
	}
}

func TestRunWithoutDaemonSaysHowToStartOne(t *testing.T) {
	folder := t.TempDir()
	out, err := exec.Command(running.binary("sluice"), "--state", folder, "run", "--", "true").CombinedOutput()
	if err == nil || !strings.Contains(string(out), folder+"/sluice.sock") || !strings.Contains(string(out), "sluice serve") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestRunOverThePoolNamesWhatIsFree(t *testing.T) {
	out, err := sluiceCommand(t, "run", "--memory", "100Ti", "--", "true").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no capacity") || !strings.Contains(string(out), "sluice devices") {
		t.Errorf("got %v: %s", err, out)
	}
}

// startAndScan starts a program and reads its output line by line.
func startAndScan(t *testing.T, command *exec.Cmd) *bufio.Scanner {
	t.Helper()
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(stdout)
}
