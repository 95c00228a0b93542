// Command sluice-worker is the only program of Sluice that loads vendors' drivers. The daemon starts it; package
// sluice/broker/handover says how.
//
//	sluice-worker probe   prints the inventory of the host's devices as JSON
//	sluice-worker serve   serves one Lease
//	sluice-worker watch   prints what happens to the health of the host's devices, a line of JSON each, until it is ended
//
// A person starts it to keep a program's session in a file, and to say the program's part again:
//
//	sluice-worker record FILE PROGRAM [ARGUMENT...]
//	sluice-worker replay FILE
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/broker/device/opencl"
	"sluice/broker/dispatch"
	"sluice/broker/handover"
	"sluice/broker/worker"
)

// What a person starts it for.
const (
	modeRecord = "record"
	modeReplay = "replay"
)

func main() {
	stage := flag.String("stage", "", "how far the worker's start is; for the daemon")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: sluice-worker %s | %s | %s | %s FILE PROGRAM [ARGUMENT...] | %s FILE\n",
			handover.ModeProbe, handover.ModeServe, handover.ModeWatch, modeRecord, modeReplay)
	}
	flag.Parse()
	var err error
	switch words := flag.Args(); {
	case len(words) >= 3 && words[0] == modeRecord:
		err = keep(words[1], words[2:])
	case len(words) == 2 && words[0] == modeReplay:
		err = repeat(words[1])
	default:
		err = run(*stage, flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sluice-worker:", err)
		os.Exit(1)
	}
}

func run(stage, mode string) error {
	if flag.NArg() != 1 || !slices.Contains([]string{handover.ModeProbe, handover.ModeServe, handover.ModeWatch}, mode) {
		flag.Usage()
		return fmt.Errorf("unknown arguments %q", flag.Args())
	}
	if stage == handover.StageConfine || stage == handover.StagePlain {
		if err := worker.WaitGate(); err != nil {
			return err
		}
	}
	switch stage {
	case handover.StageConfine:
		return worker.Confine(mode)
	case handover.StageConfined, handover.StagePlain:
		if err := worker.FilterSystemCalls(); err != nil {
			return err
		}
	case "":
	default:
		return fmt.Errorf("unknown stage %q", stage)
	}
	switch mode {
	case handover.ModeProbe:
		return probe()
	case handover.ModeWatch:
		return watch()
	}
	return serve()
}

// serve loads the drivers, then serves the Lease that the daemon assigns.
func serve() error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	listener, err := controlListener()
	if err != nil {
		return err
	}
	began := time.Now()
	runtime.LockOSThread() // the driver's threads are like the one that loads it
	dispatch.ExactTimers()
	devices, _, err := opencl.Devices()
	runtime.UnlockOSThread()
	if err != nil {
		return err
	}
	segment, err := dispatch.NewSegment()
	if err != nil {
		return fmt.Errorf("making a session's memory: %w", err)
	}
	ready := handover.Ready{Devices: len(devices), LoadMs: time.Since(began).Milliseconds()}
	log.Info("drivers loaded", "devices", ready.Devices, "load_ms", ready.LoadMs)

	open := func(a handover.Assign, unpacked <-chan struct{}) (worker.Server, error) {
		return openLease(segment, a, unpacked)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return worker.New(ready, os.Getenv(handover.BuildsVariable), open, log).Run(ctx, listener)
}

func controlListener() (*net.UnixListener, error) {
	file := os.NewFile(handover.ListenerFD, "control")
	defer file.Close()
	unix.CloseOnExec(handover.ListenerFD)
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is no control socket; the daemon starts this mode: %w", handover.ListenerFD, err)
	}
	control, isUnix := listener.(*net.UnixListener)
	if !isUnix {
		listener.Close()
		return nil, fmt.Errorf("descriptor %d is no unix socket", handover.ListenerFD)
	}
	return control, nil
}
