// Package sluice holds the test of the module's architecture: which package may import which, and why.
package sluice

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// A layer says what one package of the module may import of the module. Test files are free: they may construct anything.
type layer struct {
	pkg       string   // path under the module; a trailing /... covers the packages below it too
	mayImport []string // likewise
	why       string
}

// generated is open to every package but the pure cores and the noun packages.
const generated = "proto/gen/..."

var layers = []layer{
	// Nouns: everybody may use them, so they may use nobody.
	{"store", nil, "nouns and interfaces; an engine behind them is constructed in cmd alone"},
	{"broker/device", nil, "nouns: what can be lent"},
	{"function", []string{generated}, "a function's author pulls in this package and nothing else of ours"},
	{"vdev/wire", nil, "the protocol's whole truth; both ends import it"},
	{"vdev/spec", nil, "the API descriptions are data"},
	{"proto/gen/...", []string{generated}, "generated from proto/, knows nothing"},
	{"proto/tensorwire", []string{generated}, "how messages with tensors are written and read; knows nothing of what is in them"},
	{"proto/tensorjson", []string{generated}, "likewise, as JSON"},

	// Pure cores: events and a clock value in, decisions out.
	{"batcher", nil, "knows no tenant, no transport, no tensor"},
	{"batcher/simulator", []string{"batcher"}, "a yardstick outside production: simulated devices, the optimum, rival policies"},
	{"batcher/tensor", []string{generated}, "pure too: checks, encodes and splits a tensor's bytes, as gateway and runner both need it"},
	{"scheduler", []string{"broker/device", "store"}, "decides over nouns, reaches nobody"},
	{"broker/lease", []string{"broker/device"}, "the ledger counts slices of devices"},

	// What drives the cores.
	{"gateway", []string{"batcher/runner", "batcher/tensor", "gateway/intake", "gateway/rest", "gateway/sharedmemory", "proto/tensorwire", "store", generated}, "translates and validates; never reaches an instance, a device or the scheduler by itself"},
	{"gateway/sharedmemory", nil, "files and sockets of the host; knows no message"},
	{"gateway/intake", nil, "clocks and the heap; knows no protocol"},
	{"gateway/rest", []string{"gateway/intake", "proto/tensorjson", generated}, "HTTP in, the service's calls out"},
	{"batcher/runner", []string{"batcher", "batcher/tensor", "proto/tensorwire", generated}, "owns the route table; tells of demand through an interface"},
	{"batcher/runner/functiontest", []string{generated}, "a function server for tests"},
	{"scheduler/executor", []string{"scheduler", "runtime/sandbox", "broker/client", "broker/lease", "broker/device", "store", generated}, "carries decisions out through interfaces, and asks a function whether it is ready; the lease nouns come with the broker's client"},

	// Where instances live.
	{"runtime/sandbox", []string{"broker/lease", "store"}, "an interface and its lifecycle, no implementation"},
	{"runtime/sandbox/sandboxtest", []string{"runtime/sandbox", "runtime/sandbox/sandboxtest/report", "broker/lease", "test/freeport"}, "the conformance suite sees the interface and its nouns"},
	{"runtime/sandbox/sandboxtest/probe", []string{"runtime/sandbox/sandboxtest/report"}, "the program that the suite runs inside"},
	{"runtime/sandbox/sandboxtest/report", nil, "what the probe tells the suite"},
	{"runtime/sandbox/containerd", []string{"runtime/sandbox", "runtime/inject", "runtime/image"}, "one implementation does not know the other; image knows how images are unpacked"},
	{"runtime/sandbox/containerd/containerdtest", []string{"runtime/sandbox/containerd", "runtime/inject"}, "starts a containerd for tests"},
	{"runtime/sandbox/process", []string{"runtime/sandbox", "runtime/inject"}, "one implementation does not know the other"},
	{"runtime/inject", []string{"broker/lease"}, "needs the token of a lease, nothing of the broker"},
	{"runtime/image", nil, "builds and imports images of any program"},

	// The pool, the daemon's side.
	{"broker/client", []string{"broker/lease", "broker/device", generated}, "speaks to the broker over its API alone, so that it may be on another machine"},
	{"broker/session", []string{"broker/device", "broker/lease", "broker/handover", "vdev/wire"}, "greets shims and hands them over; never touches a driver"},
	{"broker/buildcache", nil, "files of a driver's cache, packed by the worker and stored by the daemon; knows neither"},
	{"broker/handover", []string{"broker/lease", "broker/device"}, "the messages between daemon and worker; both import it"},
	{"broker/supervisor", []string{"broker/device", "broker/handover"}, "knows workers as processes, and nothing of leases but what it hands over"},
	{"broker/server", []string{"broker/device", "broker/lease", "broker/buildcache", "broker/handover", "broker/session", "broker/supervisor", generated}, "the broker's API over the ledger; joins leases and workers"},

	// The pool, the worker's side.
	{"broker/device/opencl", []string{"broker/device"}, "lists devices through the driver"},
	{"broker/worker", []string{"broker/buildcache", "broker/dispatch", "broker/device", "broker/lease", "broker/handover", "vdev/wire"}, "the life of one worker process"},
	{"broker/dispatch", []string{"vdev/record", "vdev/wire"}, "calls the driver; distrusts every frame"},

	// The virtual device.
	{"vdev/gen", []string{"vdev/spec", "vdev/wire"}, "description and layout in, sources out"},
	{"vdev/record", []string{"vdev/wire"}, "keeps and repeats what both ends say; knows frames, not calls"},
	{"vdev/trace", []string{"vdev/spec"}, "reads what a traced program wrote; knows calls by their names alone"},

	{"store/storetest", []string{"store"}, "the conformance suite sees the interfaces alone"},
	{"store/bolt", []string{"store"}, "one engine"},
	{"store/directory", []string{"store"}, "follows any engine"},
	{"store/redis", []string{"store"}, "one engine"},
	{"examples/...", []string{"function", "examples/...", generated}, "what a tenant may write: they see what a tenant sees"},

	{"test/e2e", []string{generated}, "runs the built programs from outside"},
	{"test/freeport", nil, "a port for a server of a test or a benchmark"},

	// Programs wire concrete types together.
	{"cmd/sluice/access", []string{"store", "store/directory", generated}, "who may call the control API, over which door"},
	{"cmd/sluice", []string{
		"batcher", "batcher/runner", "batcher/tensor", "broker/client", "broker/device", "broker/lease", "broker/server", "broker/session", "gateway", "gateway/sharedmemory", "runtime/...",
		"scheduler/...", "store/...", "cmd/sluice/...", "proto/tensorjson", "vdev/trace", generated,
	}, "one place wires everything but the worker's side, which would bring a driver in"},
	{"cmd/sluice/config", nil, "gives any command's flags their values"},
	{"cmd/sluice/top", nil, "compares two readings of the metrics; pure"},
	{"cmd/sluice/doctor", []string{"broker/device", "broker/supervisor"}, "tries what the daemon will do: a probe by a worker among it"},
	{"broker/device/nvml", []string{"broker/device"}, "asks the management library; only the worker loads it"},
	{"cmd/sluice-worker", []string{"broker/worker", "broker/dispatch", "broker/handover", "broker/device", "broker/device/opencl", "broker/device/nvml", "vdev/record", "vdev/wire"}, "the only program that loads a driver"},
	{"cmd/sluice-bench", []string{"batcher/simulator", "broker/client", "broker/lease", "broker/device", "function", "test/freeport", generated}, "measures from outside, as a program sees it"},
}

// neverInDaemon may not be reached from cmd/sluice by any way: a driver that hangs or crashes must not stop the daemon.
var neverInDaemon = []string{"broker/worker", "broker/dispatch", "broker/device/opencl", "broker/device/nvml"}

const module = "sluice"

func TestImportsFollowLayers(t *testing.T) {
	matched := make(map[string]bool)
	for _, pkg := range listPackages(t, "./...") {
		name, inside := strings.CutPrefix(pkg.ImportPath, module+"/")
		if !inside {
			continue // the root holds this test only
		}
		row := layerOf(name)
		if row == nil {
			t.Errorf("package %s has no row in layers: give it one, with its reason", name)
			continue
		}
		matched[row.pkg] = true
		for _, imported := range pkg.Imports {
			of, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.ContainsFunc(row.mayImport, func(pattern string) bool { return covers(pattern, of) }) {
				t.Errorf("%s imports %s, which its row does not allow (%s)", name, of, row.why)
			}
		}
	}
	for _, row := range layers {
		if !matched[row.pkg] {
			t.Errorf("layers names %s, which is no package any more: remove or rename the row", row.pkg)
		}
	}
}

func TestDaemonReachesNoDriver(t *testing.T) {
	exist := make(map[string]bool)
	for _, pkg := range listPackages(t, "./...") {
		exist[pkg.ImportPath] = true
	}
	if !exist[module+"/broker/worker"] || !exist[module+"/broker/dispatch"] {
		t.Error("broker/worker or broker/dispatch is gone: this test guards nothing until it names what took their place")
	}
	for _, pkg := range listPackages(t, "-deps", "./cmd/sluice") {
		name := strings.TrimPrefix(pkg.ImportPath, module+"/")
		if slices.Contains(neverInDaemon, name) {
			t.Errorf("cmd/sluice reaches %s: it would load a driver into the daemon", name)
		}
		if pkg.ImportPath == "C" || len(pkg.CgoFiles) > 0 {
			t.Errorf("cmd/sluice reaches %s, which needs cgo", name)
		}
	}
	build := exec.Command("go", "build", "-o", os.DevNull, "./cmd/sluice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("cmd/sluice does not build without cgo: %v\n%s", err, out)
	}
}

// layerOf finds the row of a package: the exact one before one that covers it.
func layerOf(name string) *layer {
	var covering *layer
	for i := range layers {
		if layers[i].pkg == name {
			return &layers[i]
		}
		if covers(layers[i].pkg, name) {
			covering = &layers[i]
		}
	}
	return covering
}

func covers(pattern, name string) bool {
	prefix, below := strings.CutSuffix(pattern, "/...")
	return name == prefix || below && strings.HasPrefix(name, prefix+"/")
}

type listed struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
}

// listPackages asks `go list` without cgo for the daemon's dependencies and with it for everything else.
func listPackages(t *testing.T, arguments ...string) []listed {
	t.Helper()
	cgo := "CGO_ENABLED=1"
	if slices.Contains(arguments, "-deps") {
		cgo = "CGO_ENABLED=0"
	}
	list := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,CgoFiles"}, arguments...)...)
	list.Env = append(os.Environ(), cgo)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%s: %v", path.Base(list.Path), err)
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("reading go list's answer: %v", err)
		}
		packages = append(packages, one)
	}
}
