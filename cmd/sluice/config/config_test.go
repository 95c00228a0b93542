package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type testSettings struct {
	listen  string
	workers int
	names   []string
	wait    time.Duration
	store   string
}

func newFlags(s *testSettings) *pflag.FlagSet {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:1", "where it listens")
	flags.IntVar(&s.workers, "warm-workers", 1, "workers that wait")
	flags.StringSliceVar(&s.names, "names", []string{"a", "b"}, "names")
	flags.DurationVar(&s.wait, "wait", time.Second, "how long")
	flags.StringVar(&s.store, "store", "", "where")
	return flags
}

func environment(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, set := variables[name]
		return value, set
	}
}

func parse(t *testing.T, text string) File {
	t.Helper()
	file, err := Parse("sluice.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The command line is over the environment, which is over the file, which is over the default.
func TestPrecedence(t *testing.T) {
	var s testSettings
	flags := newFlags(&s)
	if err := flags.Parse([]string{"--listen", "flag:1"}); err != nil {
		t.Fatal(err)
	}
	file := parse(t, "listen: file:1\nwarm_workers: 2\nnames: [c]\nstore: redis://me:secret@host\n")
	settings, err := Load(flags, file, environment(map[string]string{"SLUICE_LISTEN": "environment:1", "SLUICE_WARM_WORKERS": "3"}))
	if err != nil {
		t.Fatal(err)
	}
	if s.listen != "flag:1" || s.workers != 3 || !slices.Equal(s.names, []string{"c"}) || s.wait != time.Second || s.store != "redis://me:secret@host" {
		t.Errorf("loaded %+v", s)
	}
	want := []Setting{
		{"listen", "flag:1", SourceFlag},
		{"names", "[c]", SourceFile},
		{"store", "redis://me:xxxxx@host", SourceFile},
		{"wait", "1s", SourceDefault},
		{"warm_workers", "3", SourceEnvironment},
	}
	if !slices.Equal(settings, want) {
		t.Errorf("settings\n%+v, want\n%+v", settings, want)
	}
}

// Errors name the place and the key.
func TestWrongValues(t *testing.T) {
	for _, c := range []struct{ file, variable, says string }{
		{"warm_workers: many\n", "", "sluice.yaml:1: warm_workers"},
		{"# a comment\nlisten:\n", "", "sluice.yaml:2: listen: has no value"},
		{"listen: [a, b]\n", "", "not a list"},
		{"listen: {a: b}\n", "", "must be a value or a list"},
		{"names: [[a]]\n", "", "list of values"},
		{"wait: 5\n", "", "sluice.yaml:1: wait"},
		{"", "SLUICE_WARM_WORKERS=few", "SLUICE_WARM_WORKERS"},
	} {
		name, value, _ := strings.Cut(c.variable, "=")
		_, err := Load(newFlags(new(testSettings)), parse(t, c.file), environment(map[string]string{name: value}))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q %s: error %v, want it to say %q", c.file, c.variable, err, c.says)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	for text, says := range map[string]string{
		"listen: a\nlisten: b\n":                "sluice.yaml:2: listen is there twice",
		"- a\n":                                 "keys with values",
		"listen: [\n":                           "sluice.yaml",
		"listen: a\n---\nlisten: b\n":           "more than one document",
		strings.Repeat("#", FileBytesMax) + "#": "more than",
	} {
		if _, err := Parse("sluice.yaml", []byte(text)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: error %v, want it to say %q", text, err, says)
		}
	}
	file := parse(t, "listen: a\n\nlsten: b\n")
	err := file.Unknown(newFlags(new(testSettings)))
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `sluice.yaml:3: unknown key "lsten"`) {
		t.Errorf("unknown key: %v", err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A template with its comments taken away is the default configuration.
func TestTemplateIsTheDefault(t *testing.T) {
	var text strings.Builder
	var s testSettings
	if err := Template(&text, "Header.\nSecond line.", newFlags(&s)); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text.String(), "# Header.\n# Second line.\n\n# where it listens\n# --listen, SLUICE_LISTEN\n#listen: 127.0.0.1:1\n") {
		t.Errorf("template begins\n%s", text.String())
	}
	if file := parse(t, text.String()); len(file.entries) != 0 {
		t.Errorf("the template sets %v", file.entries)
	}
	var uncommented strings.Builder
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "# ") {
			uncommented.WriteString(strings.TrimPrefix(line, "#"))
		}
	}
	file := parse(t, uncommented.String())
	if len(file.entries) != 5 {
		t.Fatalf("%d keys in\n%s", len(file.entries), uncommented.String())
	}
	var loaded testSettings
	if _, err := Load(newFlags(&loaded), file, environment(nil)); err != nil {
		t.Fatal(err)
	}
	if loaded.listen != s.listen || loaded.workers != s.workers || !slices.Equal(loaded.names, s.names) || loaded.wait != s.wait {
		t.Errorf("loaded %+v, want %+v", loaded, s)
	}
}
