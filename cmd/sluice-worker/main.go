// Command sluice-worker is the only program of Sluice that loads vendors' drivers. The daemon starts it; package
// sluice/broker/handover says how.
//
//	sluice-worker probe   prints the inventory of the host's devices as JSON
//	sluice-worker serve   serves one Lease
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/broker/device/opencl"
	"sluice/broker/handover"
	"sluice/broker/worker"
)

func main() {
	stage := flag.String("stage", "", "how far the worker's start is; for the daemon")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: sluice-worker %s | %s\n", handover.ModeProbe, handover.ModeServe)
	}
	flag.Parse()
	if err := run(*stage, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "sluice-worker:", err)
		os.Exit(1)
	}
}

func run(stage, mode string) error {
	if flag.NArg() != 1 || (mode != handover.ModeProbe && mode != handover.ModeServe) {
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
	if mode == handover.ModeProbe {
		return probe()
	}
	return serve()
}

// probe prints the inventory. Drivers may print too: standard output is kept from them.
func probe() error {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("keeping standard output: %w", err)
	}
	out := os.NewFile(uintptr(fd), "inventory")
	defer out.Close()
	if err := unix.Dup3(2, 1, 0); err != nil {
		return fmt.Errorf("keeping standard output: %w", err)
	}
	devices, notes, err := opencl.Devices()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(handover.Inventory{Devices: devices, Notes: notes}); err != nil {
		return fmt.Errorf("printing the inventory: %w", err)
	}
	return nil
}

// serve loads the drivers, then serves the Lease that the daemon assigns.
func serve() error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	listener, err := controlListener()
	if err != nil {
		return err
	}
	began := time.Now()
	devices, _, err := opencl.Devices()
	if err != nil {
		return err
	}
	ready := handover.Ready{Devices: len(devices), LoadMs: time.Since(began).Milliseconds()}
	log.Info("drivers loaded", "devices", ready.Devices, "load_ms", ready.LoadMs)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return worker.New(ready, openLease, log).Run(ctx, listener)
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
