package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"sluice/store"
)

// TestParseFunction runs the transcripts: `parse` prints the spec as JSON or every error. An argument pad=N appends a
// comment of N bytes.
func TestParseFunction(t *testing.T) {
	datadriven.Walk(t, "testdata/function", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "parse" {
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			text := d.Input
			if d.HasArg("pad") {
				var pad int
				d.ScanArgs(t, "pad", &pad)
				text += "\n#" + strings.Repeat("x", pad)
			}
			spec, err := store.ParseFunction([]byte(text))
			if err != nil {
				if !errors.Is(err, store.ErrInvalid) {
					t.Errorf("%s: error is no ErrInvalid: %v", d.Pos, err)
				}
				return err.Error()
			}
			out, err := json.MarshalIndent(spec, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		})
	})
}

// A few hundred bytes that would expand to 10^9 entries through aliases.
func TestParseFunctionRefusesAliasBomb(t *testing.T) {
	text := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for letter := 'b'; letter <= 'i'; letter++ {
		before := string(letter - 1)
		text += string(letter) + ": &" + string(letter) + " [" + strings.TrimSuffix(strings.Repeat("*"+before+",", 10), ",") + "]\n"
	}
	if _, err := store.ParseFunction([]byte(text)); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "aliases") {
		t.Errorf("error is %v", err)
	}
}

func TestParseFunctionRefusesDepth(t *testing.T) {
	text := "env: " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	if _, err := store.ParseFunction([]byte(text)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("error is %v", err)
	}
}

func FuzzParseFunction(f *testing.F) {
	f.Add([]byte("apiVersion: sluice/v1\nkind: Function\nname: f\nimage: i\ndevice: {api: opencl, memory: 1Gi}\nscale: {min: 1, max: 2}\n"))
	f.Add([]byte("apiVersion: sluice/v1\nkind: Function\nname: f\ncommand: [a]\nenv: {A: b}\nresources: {cpu: 0.5, memory: 1.5Gi}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {a: b}\n: !!binary c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := store.ParseFunction(text)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("error is no ErrInvalid: %v", err)
			}
			return
		}
		if store.CheckName("name", spec.Name) != nil || spec.Image == "" && len(spec.Command) == 0 {
			t.Errorf("accepted %+v", spec)
		}
		if spec.Scale.Min < 0 || spec.Scale.Max < 1 || spec.Scale.Min > spec.Scale.Max || spec.Scale.Max > store.MaxScale || spec.Concurrency < 1 {
			t.Errorf("accepted scale %+v, concurrency %d", spec.Scale, spec.Concurrency)
		}
		if spec.Resources.CPUMilli < store.MinCPUMilli || spec.Resources.MemoryBytes > store.MaxMemoryBytes || spec.Batch.MaxSize < 1 {
			t.Errorf("accepted %+v", spec)
		}
		if value, err := json.Marshal(spec); err != nil || store.CheckValue(value) != nil {
			t.Errorf("an accepted spec does not fit a record: %v", err)
		}
	})
}
