package executor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"sluice/broker/lease"
	"sluice/runtime/sandbox"
	"sluice/store"
)

// envPort tells a program that serves on a port which one, unless its function.yaml says so itself.
const envPort = "PORT"

// The folder above keeps others out; a program that is not root must make its socket in it.
const socketFolderMode = 0o777

func (e *Executor) functionDir(id string) string { return filepath.Join(e.config.FunctionFolder, id) }

// start brings an Instance from nothing to the route within its start timeout.
func (e *Executor) start(ctx context.Context, i *instance) error {
	limit := i.place.Version.Spec.Scale.StartTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready within start_timeout_s, which is %s", limit))
	defer cancel()
	began := time.Now()
	for _, phase := range []struct {
		name string
		took func(*ColdStart) *time.Duration
		do   func(context.Context, *instance) error
	}{
		{"lease", func(c *ColdStart) *time.Duration { return &c.Lease }, e.takeLease},
		{"create", func(c *ColdStart) *time.Duration { return &c.Create }, e.create},
		{"start", func(c *ColdStart) *time.Duration { return &c.Start }, e.startProgram},
		{"ready", func(c *ColdStart) *time.Duration { return &c.Ready }, e.awaitReady},
	} {
		since := time.Now()
		if err := phase.do(ctx, i); err != nil {
			if cause := context.Cause(ctx); ctx.Err() != nil && !errors.Is(err, cause) {
				err = fmt.Errorf("%w (%w)", cause, err)
			}
			return fmt.Errorf("start, phase %s: %w", phase.name, err)
		}
		took := time.Since(since)
		e.update(i, func(info *Instance) { *phase.took(&info.ColdStart) = took })
		e.metrics.observe(i.key, phase.name, took)
	}
	if err := e.route(i); err != nil {
		return err
	}
	e.metrics.observe(i.key, "total", time.Since(began))
	return nil
}

// route lets an Instance that is ready take requests.
func (e *Executor) route(i *instance) error {
	e.update(i, func(info *Instance) { info.State, info.ReadyAt = Ready, time.Now() })
	endpoint := Endpoint{
		Instance: i.id, Target: i.sandbox.Target(), Dial: i.sandbox.Dial, Concurrency: max(i.place.Version.Spec.Concurrency, 1),
	}
	for _, slice := range i.place.Slices {
		endpoint.Devices, endpoint.Share = append(endpoint.Devices, slice.DeviceID), slice.ComputeMilli
	}
	err := e.config.Routes.Add(i.key, endpoint)
	if err != nil {
		return fmt.Errorf("start: put on the route: %w", err)
	}
	return nil
}

// A function may ask for as many devices as a Lease can have.
var _ = [1]struct{}{}[store.MaxDevices-lease.SlicesMax]

func (e *Executor) takeLease(ctx context.Context, i *instance) error {
	if len(i.place.Slices) == 0 {
		return nil
	}
	granted, err := e.config.Broker.Grant(ctx, lease.Request{
		Tenant: i.key.Tenant, Holder: i.id, API: i.place.Version.Spec.Device.API,
		Slices: i.place.Slices, Duration: e.config.LeaseDuration,
	})
	if err != nil {
		return err
	}
	i.lease = &granted
	e.keepLease(i)
	e.update(i, func(info *Instance) { info.LeaseID = granted.ID })
	return nil
}

func (e *Executor) create(ctx context.Context, i *instance) error {
	select {
	case e.creates <- struct{}{}:
		defer func() { <-e.creates }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := makeLogRoom(filepath.Dir(i.logPath)); err != nil {
		return err
	}
	folder := e.functionDir(i.id)
	if err := os.Mkdir(folder, folderMode); err != nil {
		return fmt.Errorf("make folder of the socket: %w", err)
	}
	if err := os.Chmod(folder, socketFolderMode); err != nil {
		return fmt.Errorf("open folder of the socket: %w", err)
	}
	spec := i.place.Version.Spec
	env := maps.Clone(spec.Env)
	if spec.Port != 0 {
		env = map[string]string{envPort: strconv.Itoa(spec.Port)}
		maps.Copy(env, spec.Env)
	}
	made, err := e.config.Sandbox.Create(ctx, sandbox.Spec{
		ID: i.id, Tenant: i.key.Tenant, Function: i.key.Function, Version: i.key.Version,
		Image: spec.Image, Command: spec.Command, Env: env, Port: spec.Port,
		CPUMilli: spec.Resources.CPUMilli, MemoryBytes: spec.Resources.MemoryBytes,
		LogPath: i.logPath, FunctionDir: folder, Lease: i.lease,
	})
	if err != nil {
		return err
	}
	i.sandbox = made
	return nil
}

// startProgram also begins to wait for the program's end.
func (e *Executor) startProgram(ctx context.Context, i *instance) error {
	if err := i.sandbox.Start(ctx); err != nil {
		return err
	}
	e.update(i, func(info *Instance) { info.PID, info.Target = i.sandbox.PID(), i.sandbox.Target() })
	e.watchExit(i)
	return nil
}

// watchExit waits for the program's end beside the Instance's goroutine.
func (e *Executor) watchExit(i *instance) {
	e.group.Go(func() {
		exit, err := i.sandbox.Wait(i.watch)
		if err != nil {
			i.exited <- fmt.Errorf("program is lost from sight: %w", err)
			return
		}
		i.exited <- exitError(i, exit)
	})
}

func exitError(i *instance, exit sandbox.Exit) error {
	what := fmt.Sprintf("program ended with status %d", exit.Code)
	switch {
	case exit.OutOfMemory:
		what = fmt.Sprintf("program used more than its resources.memory of %d MiB", i.place.Version.Spec.Resources.MemoryBytes>>20)
	case exit.Code == sandbox.ExitUnknown:
		what = "program ended"
	}
	if tail := logTail(i.logPath); tail != "" {
		return fmt.Errorf("%s; its last lines: %s", what, tail)
	}
	return errors.New(what)
}
