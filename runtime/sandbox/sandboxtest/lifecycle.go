package sandboxtest

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"sluice/runtime/sandbox"
)

const killed = 128 + 9 // Exit.Code after SIGKILL

func testExit(b *Bench) {
	for argument, want := range map[string]int{"0": 0, "7": 7, "255": 255} {
		exit := b.Wait(b.Run(b.Spec("exit", argument)))
		if exit.Code != want || exit.OutOfMemory || exit.At.IsZero() {
			b.Errorf("exit %s is reported as %+v", argument, exit)
		}
	}
}

func testLog(b *Bench) {
	spec := b.Spec("exit", "0")
	b.Must(os.WriteFile(spec.LogPath, []byte("before\n"), 0o600))
	instance := b.Run(spec)
	b.Wait(instance)
	b.Must(instance.Delete(b.Context))
	log := b.Log(spec)
	if !strings.HasPrefix(log, "before\n") || !strings.Contains(log, "to output\n") || !strings.Contains(log, "to errors\n") {
		b.Errorf("log is %q", log)
	}
}

func testStopIsGraceful(b *Bench) {
	instance, _ := b.RunReady(b.Spec("hold", "3"), 1)
	b.Must(instance.Stop(b.Context, noticed))
	if exit := b.Wait(instance); exit.Code != 3 {
		b.Errorf("exit %+v, want the program's own code", exit)
	}
	b.Must(instance.Stop(b.Context, 0))
}

func testStopKills(b *Bench) {
	instance, _ := b.RunReady(b.Spec("hold"), 1)
	b.Must(instance.Stop(b.Context, 10*time.Millisecond))
	b.WantState(instance, sandbox.Stopped)
	if exit := b.Wait(instance); exit.Code != killed || exit.OutOfMemory {
		b.Errorf("exit %+v, want %d", exit, killed)
	}
}

func testStopIsAbandoned(b *Bench) {
	instance, _ := b.RunReady(b.Spec("hold"), 1)
	ctx, cancel := context.WithTimeout(b.Context, 10*time.Millisecond)
	defer cancel()
	if err := instance.Stop(ctx, noticed); !errors.Is(err, context.DeadlineExceeded) {
		b.Errorf("stop: %v, want DeadlineExceeded", err)
	}
	b.WantState(instance, sandbox.Running)
	b.Must(instance.Kill(b.Context))
}

func testKillEndsChildren(b *Bench) {
	instance, connections := b.RunReady(b.Spec("parent", "hold"), 2)
	b.Must(instance.Kill(b.Context))
	for _, connection := range connections {
		if _, err := connection.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			b.Errorf("a process is alive after Kill: %v", err)
		}
	}
	if exit := b.Wait(instance); exit.Code != killed {
		b.Errorf("exit %+v, want %d", exit, killed)
	}
	b.Must(instance.Kill(b.Context))
}

func testExitEndsChildren(b *Bench) {
	instance, connections := b.RunReady(b.Spec("parent", "leave"), 2)
	// Either may be the parent's; the child does not read, so ending both ends the parent alone.
	for _, connection := range connections {
		closeWrite, ok := connection.(interface{ CloseWrite() error })
		if !ok {
			b.Fatalf("%T cannot be half closed", connection)
		}
		b.Must(closeWrite.CloseWrite())
	}
	if exit := b.Wait(instance); exit.Code != 0 {
		b.Errorf("exit %+v, want 0", exit)
	}
	for _, connection := range connections {
		if _, err := connection.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			b.Errorf("a process is alive after its parent: %v", err)
		}
	}
}

func testStates(b *Bench) {
	spec := b.Spec("hold")
	defer b.ready(spec).Close()
	instance := b.Create(spec)
	b.WantState(instance, sandbox.Created)
	if instance.PID() != 0 {
		b.Errorf("pid %d before Start", instance.PID())
	}
	b.Must(instance.Kill(b.Context)) // nothing runs yet
	b.WantState(instance, sandbox.Created)
	b.Must(instance.Stop(b.Context, 0))
	b.WantState(instance, sandbox.Created)
	b.Must(instance.Start(b.Context))
	b.WantState(instance, sandbox.Running)
	if _, err := os.Stat("/proc/" + itoa(instance.PID())); err != nil {
		b.Errorf("pid is not the host's: %v", err)
	}
	if err := instance.Start(b.Context); !errors.Is(err, sandbox.ErrState) {
		b.Errorf("second start: %v, want ErrState", err)
	}
	b.Must(instance.Kill(b.Context))
	b.Wait(instance)
	b.WantState(instance, sandbox.Stopped)
	if instance.PID() != 0 {
		b.Errorf("pid %d after the exit", instance.PID())
	}
	if err := instance.Start(b.Context); !errors.Is(err, sandbox.ErrState) {
		b.Errorf("start after the exit: %v, want ErrState", err)
	}
	b.Must(instance.Delete(b.Context))
	if _, err := instance.State(b.Context); !errors.Is(err, sandbox.ErrNotFound) {
		b.Errorf("state after Delete: %v, want ErrNotFound", err)
	}
	if err := instance.Start(b.Context); !errors.Is(err, sandbox.ErrNotFound) {
		b.Errorf("start after Delete: %v, want ErrNotFound", err)
	}
	b.Must(instance.Kill(b.Context))
	b.Must(instance.Stop(b.Context, 0))
	b.Must(instance.Delete(b.Context))
	// The id is free again.
	b.Must(b.Create(spec).Delete(b.Context))
}

func testWaitIsShared(b *Bench) {
	instance := b.Create(b.Spec("exit", "5"))
	var waiters sync.WaitGroup
	for range 4 {
		waiters.Go(func() {
			if exit, err := instance.Wait(b.Context); err != nil || exit.Code != 5 {
				b.Errorf("wait: %+v, %v", exit, err)
			}
		})
	}
	b.Must(instance.Start(b.Context))
	waiters.Wait()
	b.Must(instance.Delete(b.Context))
	if exit := b.Wait(instance); exit.Code != 5 {
		b.Errorf("after Delete the exit is %+v", exit)
	}
}

func testWaitIsAbandoned(b *Bench) {
	instance := b.Run(b.Spec("hold"))
	ctx, cancel := context.WithCancel(b.Context)
	cancel()
	if _, err := instance.Wait(ctx); !errors.Is(err, context.Canceled) {
		b.Errorf("wait: %v, want Canceled", err)
	}
}

func testDeleteUnstarted(b *Bench) {
	instance := b.Create(b.Spec("exit", "0"))
	waited := make(chan sandbox.Exit, 1)
	go func() {
		exit, err := instance.Wait(b.Context)
		if err != nil {
			b.Errorf("wait: %v", err)
		}
		waited <- exit
	}()
	b.Must(instance.Delete(b.Context))
	if exit := <-waited; exit.Code != sandbox.ExitUnknown {
		b.Errorf("exit %+v, want ExitUnknown", exit)
	}
	if exit := b.Wait(instance); exit.Code != sandbox.ExitUnknown {
		b.Errorf("exit %+v, want ExitUnknown", exit)
	}
}

func testDeleteIsFinished(b *Bench) {
	instance, connections := b.RunReady(b.Spec("parent", "hold"), 2)
	ctx, cancel := context.WithCancel(b.Context)
	cancel()
	b.Must(instance.Delete(ctx))
	for _, connection := range connections {
		if _, err := connection.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			b.Errorf("a process is alive after Delete: %v", err)
		}
	}
	b.wantListed()
}
