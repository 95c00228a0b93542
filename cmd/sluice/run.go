package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sluice/broker/client"
	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/runtime/inject"
	"sluice/store"
)

const (
	// A lease outlives a `sluice run` that was killed by no more than this.
	runLeaseDuration = 30 * time.Second
	runRenewInterval = 10 * time.Second
	releaseTimeout   = 10 * time.Second
	releaseRetry     = 200 * time.Millisecond

	// Exit codes of a shell: for a program that cannot be run, and the base for one that a signal ended.
	exitNotRun     = 127
	exitSignalBase = 128
)

type runFlags struct {
	memory  string
	compute int
	device  string
}

func newRunCommand(g *globals) *cobra.Command {
	var flags runFlags
	command := &cobra.Command{
		Use:   "run [--memory 1Gi] [--compute 250] -- PROGRAM [ARGUMENTS]",
		Short: "Run an OpenCL program on this machine with leased slices as its only devices",
		Long: "Leases a slice, or one of each device that is named, runs the program with nothing else as its OpenCL devices,\n" +
			"and gives them back when the program ends.\n" +
			"Signals reach the program; its exit code is the command's. The program is not confined otherwise.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := runRequest(g, flags)
			if err != nil {
				return err
			}
			return withBroker(cmd.Context(), g, func(ctx context.Context, broker *client.Client) error {
				return runLeased(ctx, g, broker, request, func(environment map[string]string) (int, error) {
					return runProgram(args, environment)
				})
			})
		},
	}
	addRunFlags(command, &flags)
	return command
}

// addRunFlags gives a command that runs a program the flags of its slice; what follows the first argument is the program's.
func addRunFlags(command *cobra.Command, flags *runFlags) {
	command.Flags().SetInterspersed(false)
	command.Flags().StringVar(&flags.memory, "memory", "1Gi", "device memory of each slice")
	command.Flags().IntVar(&flags.compute, "compute", 0, "thousandths of each device to reserve")
	command.Flags().StringVar(&flags.device, "device", "", "the device's id, as `sluice devices` lists it, or several of one driver, separated by commas; empty for any one")
}

func runRequest(g *globals, flags runFlags) (lease.Request, error) {
	memoryBytes, err := store.ParseMemory(flags.memory)
	if err != nil {
		return lease.Request{}, fmt.Errorf("--memory: %w", err)
	}
	tenant := g.tenant
	if tenant == "" {
		tenant = store.DefaultTenant
	}
	request := lease.Request{
		Tenant: tenant, Holder: fmt.Sprintf("run:%d", os.Getpid()), API: device.APIOpenCL, Duration: runLeaseDuration,
	}
	for id := range strings.SplitSeq(flags.device, ",") {
		request.Slices = append(request.Slices, device.Slice{DeviceID: id, MemoryBytes: memoryBytes, ComputeMilli: flags.compute})
	}
	return request, request.Validate()
}

// runLeased holds a lease for as long as run takes, which runs a program with the lease's environment.
func runLeased(ctx context.Context, g *globals, broker *client.Client, request lease.Request, run func(map[string]string) (int, error)) error {
	state, err := filepath.Abs(g.stateFolder)
	if err != nil {
		return err
	}
	granted, err := broker.Grant(ctx, request)
	if err != nil {
		if errors.Is(err, client.ErrNoCapacity) {
			return fmt.Errorf("%w; `sluice devices` shows what is free, `sluice leases` who has the rest", err)
		}
		return err
	}
	// From here on the program decides what an interrupt means, and the lease must be given back in any case.
	ctx = context.WithoutCancel(ctx)
	held, stopHolding := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		keepLease(held, broker, granted.ID)
	}()
	code, runErr := run(inject.At(state).Process(&granted))
	stopHolding()
	<-ended

	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if err := release(ctx, broker, granted.ID); err != nil && !errors.Is(err, client.ErrNotFound) {
		fmt.Fprintf(os.Stderr, "sluice: %v; it ends by itself within %s\n", err, runLeaseDuration)
	}
	if runErr != nil {
		fmt.Fprintln(os.Stderr, "sluice:", runErr)
	}
	if code != 0 {
		return exitError{code}
	}
	return nil
}

// release tries again while the daemon is away, as it is for a moment when it is upgraded.
func release(ctx context.Context, broker *client.Client, id string) error {
	for {
		err := broker.Release(ctx, id)
		if !errors.Is(err, client.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(releaseRetry):
		}
	}
}

// keepLease renews until ctx ends. A daemon that is away for a moment ends nothing; a lease that is gone is told.
func keepLease(ctx context.Context, broker *client.Client, id string) {
	ticker := time.NewTicker(runRenewInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, err := broker.Renew(ctx, id, runLeaseDuration)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, client.ErrNotFound):
			fmt.Fprintln(os.Stderr, "sluice: the lease is gone, because its worker died or it expired: the program's OpenCL calls fail from now on")
			return
		default:
			fmt.Fprintf(os.Stderr, "sluice: %v; trying again in %s\n", err, runRenewInterval)
		}
	}
}

// runProgram runs the program with the lease's environment and returns its exit code as a shell would give it.
func runProgram(args []string, environment map[string]string) (int, error) {
	program := exec.Command(args[0], args[1:]...)
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	program.Env = os.Environ()
	for name, value := range environment {
		program.Env = append(program.Env, name+"="+value) // the last of a name counts
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(signals)
	if err := program.Start(); err != nil {
		return exitNotRun, fmt.Errorf("running %s: %w", args[0], err)
	}
	ended := make(chan struct{})
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		for {
			select {
			case received := <-signals:
				if !sentByTerminal(received) {
					_ = program.Process.Signal(received) // fails only when the program has ended, which Wait tells
				}
			case <-ended:
				return
			}
		}
	}()
	err := program.Wait()
	close(ended)
	<-forwarded
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return exitNotRun, fmt.Errorf("running %s: %w", args[0], err)
	}
	if status, ok := program.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignalBase + int(status.Signal()), nil
	}
	return program.ProcessState.ExitCode(), nil
}

// sentByTerminal says that the program has the signal already: a terminal interrupts everything that runs in front of it.
func sentByTerminal(received os.Signal) bool {
	if received != unix.SIGINT && received != unix.SIGQUIT {
		return false
	}
	_, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	return err == nil
}
