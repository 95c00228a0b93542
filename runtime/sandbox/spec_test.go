package sandbox_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"sluice/broker/lease"
	"sluice/runtime/sandbox"
)

func valid() sandbox.Spec {
	return sandbox.Spec{
		ID: "digits-v1-0a1b", Tenant: "default", Function: "digits", Version: "v1",
		Image: "registry.local/digits:latest", Command: []string{"/app/digits", "-v", ""}, Env: map[string]string{"MODE": "fast"},
		CPUMilli: 500, MemoryBytes: 256 << 20, Port: 9000,
		LogPath: "/var/lib/sluice/logs/x.log", FunctionDir: "/var/lib/sluice/functions/x",
		Lease: &lease.Lease{ID: "l1"},
	}
}

func TestSpecIsAccepted(t *testing.T) {
	spec := valid()
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	want := sandbox.Identity{
		ID: "digits-v1-0a1b", Tenant: "default", Function: "digits", Version: "v1", LeaseID: "l1",
		LogPath: "/var/lib/sluice/logs/x.log", FunctionDir: "/var/lib/sluice/functions/x",
	}
	if got := spec.Identity(); got != want {
		t.Errorf("identity %+v, want %+v", got, want)
	}
	minimal := sandbox.Spec{ID: "a", Tenant: "a", Function: "a", Version: "1", LogPath: "/l", FunctionDir: "/f"}
	if err := minimal.Validate(); err != nil {
		t.Errorf("minimal spec: %v", err)
	}
}

func TestSpecIsRefused(t *testing.T) {
	many := make(map[string]string)
	for i := range sandbox.EnvVarsMax + 1 {
		many["A"+strconv.Itoa(i)] = ""
	}
	cases := map[string]struct {
		change func(*sandbox.Spec)
		field  string
	}{
		"no id":                {func(s *sandbox.Spec) { s.ID = "" }, "id"},
		"id with a slash":      {func(s *sandbox.Spec) { s.ID = "../x" }, "id"},
		"id with doubled dash": {func(s *sandbox.Spec) { s.ID = "a--b" }, "id"},
		"id with newline":      {func(s *sandbox.Spec) { s.ID = "a\n" }, "id"},
		"long id":              {func(s *sandbox.Spec) { s.ID = strings.Repeat("a", sandbox.IDBytesMax+1) }, "id"},
		"no tenant":            {func(s *sandbox.Spec) { s.Tenant = "" }, "tenant"},
		"quoted function":      {func(s *sandbox.Spec) { s.Function = `a"b` }, "function"},
		"long version":         {func(s *sandbox.Spec) { s.Version = strings.Repeat("1", sandbox.NameBytesMax+1) }, "version"},
		"image with a space":   {func(s *sandbox.Spec) { s.Image = "a b" }, "image"},
		"empty program":        {func(s *sandbox.Spec) { s.Command = []string{""} }, "command"},
		"zero in argument":     {func(s *sandbox.Spec) { s.Command = []string{"a", "b\x00"} }, "command"},
		"many arguments":       {func(s *sandbox.Spec) { s.Command = make([]string, sandbox.CommandArgsMax+1) }, "command"},
		"long arguments":       {func(s *sandbox.Spec) { s.Command = []string{strings.Repeat("a", sandbox.CommandBytesMax+1)} }, "command"},
		"env name":             {func(s *sandbox.Spec) { s.Env = map[string]string{"A=B": "c"} }, "env"},
		"env zero":             {func(s *sandbox.Spec) { s.Env = map[string]string{"A": "\x00"} }, "env"},
		"env token":            {func(s *sandbox.Spec) { s.Env = map[string]string{"SLUICE_TOKEN": "x"} }, "SLUICE_TOKEN"},
		"env size":             {func(s *sandbox.Spec) { s.Env = map[string]string{"A": strings.Repeat("x", sandbox.EnvBytesMax)} }, "env"},
		"env count":            {func(s *sandbox.Spec) { s.Env = many }, "env"},
		"negative cpu":         {func(s *sandbox.Spec) { s.CPUMilli = -1 }, "cpu"},
		"much cpu":             {func(s *sandbox.Spec) { s.CPUMilli = sandbox.CPUMilliMax + 1 }, "cpu"},
		"little memory":        {func(s *sandbox.Spec) { s.MemoryBytes = 1 }, "memory"},
		"much memory":          {func(s *sandbox.Spec) { s.MemoryBytes = 1 << 63 }, "memory"},
		"port":                 {func(s *sandbox.Spec) { s.Port = 65536 }, "port"},
		"no log":               {func(s *sandbox.Spec) { s.LogPath = "" }, "log path"},
		"log traversal":        {func(s *sandbox.Spec) { s.LogPath = "/a/../b" }, "log path"},
		"relative folder":      {func(s *sandbox.Spec) { s.FunctionDir = "f" }, "function folder"},
		"long socket path":     {func(s *sandbox.Spec) { s.FunctionDir = "/" + strings.Repeat("f", sandbox.SocketBytesMax) }, "function folder"},
		"relative working dir": {func(s *sandbox.Spec) { s.Dir = "x" }, "working folder"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec := valid()
			c.change(&spec)
			err := spec.Validate()
			if !errors.Is(err, sandbox.ErrInvalid) || !strings.Contains(err.Error(), c.field) {
				t.Errorf("got %v, want ErrInvalid that names %q", err, c.field)
			}
			if err != nil && len(err.Error()) > 512 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
		})
	}
}
