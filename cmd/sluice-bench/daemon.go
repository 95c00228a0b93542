package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sluice/proto/gen/inference"
	"sluice/test/freeport"
)

// readyTimeout bounds the wait for the daemon's devices, and for a function's first answer.
const readyTimeout = 30 * time.Second

// testedDaemon is a daemon that a benchmark has started.
type testedDaemon struct {
	self, sluice string // paths of this program and of the one that is measured
	state        string
	gateway      string // its address
	pid          int
	stop         func() // ends it and removes its state
}

// startDaemon starts a daemon of the sluice program, the one beside this program where none is named, and waits until it lends
// devices.
func startDaemon(ctx context.Context, sluice string) (*testedDaemon, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if sluice == "" {
		sluice = filepath.Join(filepath.Dir(self), "sluice")
	}
	gateway, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp("/tmp", "sluice-bench") // short, for the sockets below it
	if err != nil {
		return nil, fmt.Errorf("making a state folder: %w", err)
	}
	d := &testedDaemon{self: self, sluice: sluice, state: state, gateway: gateway}
	if err := d.serve(ctx); err != nil {
		os.RemoveAll(state)
		return nil, err
	}
	return d, nil
}

func (d *testedDaemon) serve(ctx context.Context) error {
	log, err := os.Create(filepath.Join(d.state, "log"))
	if err != nil {
		return fmt.Errorf("creating the daemon's log: %w", err)
	}
	defer log.Close()
	daemon := d.command(ctx, "serve", "--sandbox", "process", "--listen", d.gateway, "--http-listen", "", "--metrics-listen", "127.0.0.1:0")
	daemon.Stdout, daemon.Stderr = log, log
	daemon.Cancel = func() error { return daemon.Process.Signal(os.Interrupt) }
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	d.pid = daemon.Process.Pid
	d.stop = func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		os.RemoveAll(d.state)
	}
	for deadline := time.Now().Add(readyTimeout); d.command(ctx, "devices").Run() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			d.stop()
			return fmt.Errorf("the daemon is not ready after %v; it said:\n%s", readyTimeout, said)
		}
	}
	return nil
}

// command is a command of the measured program to the daemon.
func (d *testedDaemon) command(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, d.sluice, append([]string{"--state", d.state}, arguments...)...)
}

// deploy deploys a function, and waits until it answers a request at the gateway.
func (d *testedDaemon) deploy(ctx context.Context, door client, manifest string, request *inference.ModelInferRequest) error {
	deploy := d.command(ctx, "deploy", "-f", "-")
	deploy.Stdin = strings.NewReader(manifest)
	if out, err := deploy.CombinedOutput(); err != nil {
		return fmt.Errorf("deploying %s: %w: %s", request.GetModelName(), err, out)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if _, err := door.ModelInfer(ctx, request); err != nil {
		return fmt.Errorf("asking %s through the gateway: %w", request.GetModelName(), err)
	}
	return nil
}
