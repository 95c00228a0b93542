package sandboxtest

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice/broker/lease"
	"sluice/runtime/sandbox"
	"sluice/test/freeport"
)

func itoa(n int) string { return strconv.Itoa(n) }

func testEnvironment(b *Bench) {
	b.Setenv("DAEMON_SECRET", "not for programs")
	spec := b.Spec("env")
	spec.Env["MODE"] = "a = b"
	env := b.environment(spec)
	seen := spec.FunctionDir
	if b.FunctionDirSeen != "" {
		seen = b.FunctionDirSeen
	}
	for name, want := range map[string]string{
		"MODE": "a = b", "DAEMON_SECRET": "", "SLUICE_FUNCTION": "probe", "SLUICE_VERSION": "v1", "SLUICE_INSTANCE": spec.ID,
		"SLUICE_FUNCTION_SOCKET": filepath.Join(seen, sandbox.SocketName), "SLUICE_TOKEN": "", "SLUICE_SOCKET": "", "OCL_ICD_VENDORS": "",
	} {
		if env[name] != want {
			b.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if env["PATH"] == "" {
		b.Error("PATH is not set")
	}
}

func testLease(b *Bench) {
	spec := b.Spec("env")
	spec.Lease = &lease.Lease{ID: "lease-1", Token: "the token"}
	spec.Port = 9000
	env := b.environment(spec)
	if env["SLUICE_TOKEN"] != "the token" || env["SLUICE_SOCKET"] == "" || env["OCL_ICD_VENDORS"] == "" {
		b.Errorf("environment with a lease: %v", env)
	}
	if _, set := env["SLUICE_FUNCTION_SOCKET"]; set {
		b.Error("a function with a port is told of a socket")
	}
	b.Create(spec)
	instances, err := b.Sandbox.List(b.Context)
	b.Must(err)
	if len(instances) != 1 || instances[0].Identity() != spec.Identity() || instances[0].Identity().LeaseID != "lease-1" {
		b.Errorf("listed %v", instances)
	}
}

func testServesSocket(b *Bench) {
	spec := b.Spec("serve")
	early := b.Create(b.Spec("serve"))
	if connection, err := early.Dial(b.Context); err == nil {
		connection.Close()
		b.Error("dialled what does not run")
	}
	instance, _ := b.RunReady(spec, 1)
	if want := "unix://" + filepath.Join(spec.FunctionDir, sandbox.SocketName); instance.Target() != want {
		b.Errorf("target is %s, want %s", instance.Target(), want)
	}
	b.wantServed(instance)
}

func testServesPort(b *Bench) {
	port, err := freeport.Find()
	b.Must(err)
	spec := b.Spec("serve", itoa(port))
	spec.Port = port
	instance, _ := b.RunReady(spec, 1)
	if !strings.HasPrefix(instance.Target(), "passthrough:///") {
		b.Errorf("target is %s", instance.Target())
	}
	b.wantServed(instance)
	b.wantServed(instance)
	b.Must(instance.Kill(b.Context))
	if connection, err := instance.Dial(b.Context); err == nil {
		connection.Close()
		b.Error("dialled what was killed")
	}
}

// testDialFollowsNoLink: a function leads its socket's path to what only the daemon may reach.
func testDialFollowsNoLink(b *Bench) {
	victim := b.Spec("serve")
	b.RunReady(victim, 1)
	target := filepath.Join(victim.FunctionDir, sandbox.SocketName)
	for _, verb := range []string{"link", "pipe", "file"} {
		instance, _ := b.RunReady(b.Spec(verb, target), 1)
		if connection, err := instance.Dial(b.Context); err == nil {
			connection.Close()
			b.Errorf("dialled through a %s", verb)
		}
	}
}

func (b *Bench) wantServed(instance sandbox.Instance) {
	b.Helper()
	connection, err := instance.Dial(b.Context)
	b.Must(err)
	defer connection.Close()
	if content, err := io.ReadAll(connection); err != nil || string(content) != "served" {
		b.Errorf("read %q, %v", content, err)
	}
}

func testRefuses(b *Bench) {
	spec := b.Spec("hold")
	b.Create(spec)
	other := b.Spec("hold")
	other.ID = spec.ID
	if _, err := b.Sandbox.Create(b.Context, other); !errors.Is(err, sandbox.ErrExists) {
		b.Errorf("second create: %v, want ErrExists", err)
	}
	for name, change := range map[string]func(*sandbox.Spec){
		"id":              func(s *sandbox.Spec) { s.ID = "../x" },
		"command":         func(s *sandbox.Spec) { s.Command = []string{"a\x00"} },
		"function folder": func(s *sandbox.Spec) { s.FunctionDir = "/nonexistent" },
		"neither":         func(s *sandbox.Spec) { s.Image, s.Command = "", nil },
	} {
		bad := b.Spec("hold")
		change(&bad)
		if _, err := b.Sandbox.Create(b.Context, bad); !errors.Is(err, sandbox.ErrInvalid) {
			b.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	b.wantListed(spec.ID)
}

func testMissingProgram(b *Bench) {
	spec := b.Spec()
	spec.Command = []string{"/no/such/program"}
	instance, err := b.Sandbox.Create(b.Context, spec)
	if err == nil {
		err = instance.Start(b.Context)
		b.Must(instance.Delete(b.Context))
	}
	if !errors.Is(err, sandbox.ErrProgram) {
		b.Errorf("got %v, want ErrProgram", err)
	}
	b.wantListed()
}

func testList(b *Bench) {
	b.wantListed()
	first, second := b.Spec("hold"), b.Spec("exit", "0")
	b.Run(first)
	instance := b.Run(second)
	b.Wait(instance)
	b.wantListed(first.ID, second.ID)
	b.Must(instance.Delete(b.Context))
	b.wantListed(first.ID)
}

func (b *Bench) wantListed(ids ...string) {
	b.Helper()
	instances, err := b.Sandbox.List(b.Context)
	b.Must(err)
	got := []string{}
	for _, instance := range instances {
		got = append(got, instance.Identity().ID)
	}
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		b.Errorf("listed %v, want %v", got, ids)
	}
}

// testAdopt is a daemon's restart: what runs is found, serves, and is governed by the new one.
func testAdopt(b *Bench) {
	spec := b.Spec("serve")
	before, _ := b.RunReady(spec, 1)
	instances, err := b.Reopen(b.T).List(b.Context)
	b.Must(err)
	if len(instances) != 1 {
		b.Fatalf("found %d instances", len(instances))
	}
	adopted := instances[0]
	if adopted.Identity() != spec.Identity() || adopted.PID() != before.PID() || adopted.Target() != before.Target() {
		b.Errorf("adopted %+v with pid %d at %s, was %+v with pid %d at %s",
			adopted.Identity(), adopted.PID(), adopted.Target(), spec.Identity(), before.PID(), before.Target())
	}
	b.WantState(adopted, sandbox.Running)
	b.wantServed(adopted)
	if err := adopted.Start(b.Context); !errors.Is(err, sandbox.ErrState) {
		b.Errorf("start: %v, want ErrState", err)
	}
	b.Must(adopted.Stop(b.Context, 0))
	b.WantState(adopted, sandbox.Stopped)
	if exit := b.Wait(before); exit.Code == 0 {
		b.Errorf("the first sandbox saw %+v", exit)
	}
	if exit := b.Wait(adopted); exit.Code == 0 {
		b.Errorf("the second sandbox saw %+v", exit)
	}
	b.Must(adopted.Delete(b.Context))
	if err := before.Delete(b.Context); err != nil {
		b.Errorf("delete of what another deleted: %v", err)
	}
	b.wantListed()
}

func testAdoptStopped(b *Bench) {
	spec := b.Spec("exit", "4")
	b.Wait(b.Run(spec))
	instances, err := b.Reopen(b.T).List(b.Context)
	b.Must(err)
	if len(instances) != 1 {
		b.Fatalf("found %d instances", len(instances))
	}
	b.WantState(instances[0], sandbox.Stopped)
	if exit := b.Wait(instances[0]); exit.Code != 4 && exit.Code != sandbox.ExitUnknown {
		b.Errorf("exit %+v", exit)
	}
	if instances[0].PID() != 0 {
		b.Errorf("pid %d", instances[0].PID())
	}
	b.Must(instances[0].Delete(b.Context))
}
