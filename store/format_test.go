package store

import (
	"reflect"
	"testing"
)

// What FormatFunction writes is read as the same FunctionSpec.
func TestFormatFunctionIsReadBack(t *testing.T) {
	for _, text := range []string{
		"name: small\ncommand: [./program]\n",
		`name: full
image: registry.example:5000/full:v1
command: [./program, "--a: b"]
env: {KEY: "value: with\nlines", NUMBER: "1"}
port: 8080
resources: {cpu: 1.5, memory: 1000M}
device: {api: opencl, memory: 1.5Gi, compute: 250, count: 2}
batch: {policy: window, max_size: 32, max_wait_ms: 5, slo_ms: 50}
scale: {min: 1, max: 3, idle_s: 90, start_timeout_s: 120}
concurrency: 2
`,
	} {
		spec, err := ParseFunction([]byte("apiVersion: sluice/v1\nkind: Function\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := FormatFunction(spec)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseFunction(formatted)
		if err != nil || !reflect.DeepEqual(again, spec) {
			t.Errorf("read %+v, %v, want %+v from\n%s", again, err, spec, formatted)
		}
	}
}

func TestFormatMemory(t *testing.T) {
	for bytes, want := range map[uint64]string{1: "1", 1024: "1Ki", 1536: "1536", 256 << 20: "256Mi", 1e9 + 1: "1000000001"} {
		if got := formatMemory(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}
