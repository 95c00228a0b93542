package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/cmd/sluice/config"
)

// runCommand runs a command line in this process and returns what it printed.
func runCommand(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	command := newRootCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(arguments)
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The file that operators install is what the program prints.
func TestInstalledConfigurationIsTheTemplate(t *testing.T) {
	want, err := runCommand(t, "config", "template")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../deploy/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("deploy/sluice.yaml is not what `sluice config template` prints: run `make generate`")
	}
	if out, err := runCommand(t, "config", "check", "../../deploy/sluice.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestConfigCheckNamesWhatIsWrong(t *testing.T) {
	for text, says := range map[string]string{
		"lissten: a\n":                    `:1: unknown key "lissten"`,
		"sandbox: jail\n":                 "--sandbox",
		"listen: a:1\nwarm_workers: no\n": ":2: warm_workers",
		"state: \"\"\n":                   "state",
	} {
		if _, err := runCommand(t, "config", "check", writeFile(t, text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want it to say %q", text, err, says)
		}
	}
}

// Every command finds the daemon that the configuration describes.
func TestConfigShow(t *testing.T) {
	path := writeFile(t, "state: /srv/file\nlisten: file:1\nmetrics_listen: file:2\n")
	t.Setenv("SLUICE_METRICS_LISTEN", "environment:2")
	out, err := runCommand(t, "config", "show", "--config", path, "--state", "/srv/flag", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var settings []config.Setting
	if err := json.Unmarshal([]byte(out), &settings); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	shown := make(map[string]config.Setting)
	for _, s := range settings {
		shown[s.Key] = s
	}
	for _, want := range []config.Setting{
		{Key: "state", Value: "/srv/flag", Source: config.SourceFlag},
		{Key: "listen", Value: "file:1", Source: config.SourceFile},
		{Key: "metrics_listen", Value: "environment:2", Source: config.SourceEnvironment},
		{Key: "sandbox", Value: sandboxContainerd, Source: config.SourceDefault},
	} {
		if shown[want.Key] != want {
			t.Errorf("shown %+v, want %+v", shown[want.Key], want)
		}
	}
	if _, err := runCommand(t, "devices", "--config", path); err == nil || !strings.Contains(err.Error(), "/srv/file/sluice.sock") {
		t.Errorf("devices: error %v, want it to name the socket of the configuration's state folder", err)
	}
}

// A flag of serve is over the file, which is over the default.
func TestServeTakesItsConfiguration(t *testing.T) {
	path := writeFile(t, "warm_workers: 0\nsandbox: process\n")
	if _, err := runCommand(t, "serve", "--config", path); err == nil || !strings.Contains(err.Error(), "--warm-workers is 0") {
		t.Errorf("error %v, want it to complain of the file's warm_workers", err)
	}
	if _, err := runCommand(t, "serve", "--config", path, "--warm-workers", "-1"); err == nil || !strings.Contains(err.Error(), "--warm-workers is -1") {
		t.Errorf("error %v, want it to complain of the flag's", err)
	}
}
