package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func newDrainCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "drain",
		Short: "End the daemon and all that it runs",
		Long: "Ends the daemon in order: requests under way are finished, then instances, leases and workers end. It returns when nothing\n" +
			"is left. (SIGTERM, which a service manager sends, ends the daemon alone: what runs goes on, and the next daemon adopts it.)",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return drain(cmd.Context(), g.socket())
		},
	}
}

// drain interrupts the daemon as a person at its terminal would, and waits for its end.
func drain(ctx context.Context, socket string) error {
	if err := probeDaemon(socket); err != nil {
		return err
	}
	pid, err := daemonPID(socket)
	if err != nil {
		return fmt.Errorf("finding the daemon's process: %w", err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil // it has just ended
	}
	if err != nil {
		return fmt.Errorf("opening the daemon's process %d: %w", pid, err)
	}
	defer unix.Close(pidfd)
	if again, err := daemonPID(socket); err != nil || again != pid {
		return fmt.Errorf("the daemon changed meanwhile: try again (%w)", errors.Join(err, ctx.Err()))
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGINT, nil, 0); err != nil {
		return fmt.Errorf("telling the daemon, process %d, to end: %w", pid, err)
	}
	fmt.Fprintf(os.Stderr, "sluice: waiting for the daemon, process %d, to end what it runs\n", pid)
	const pollMs = 200
	for ctx.Err() == nil {
		poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, pollMs); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for the daemon's end: %w", err)
		}
		if poll[0].Revents != 0 {
			return nil
		}
	}
	return ctx.Err()
}

// daemonPID asks the kernel which process listens on the socket (SO_PEERCRED of unix(7)).
func daemonPID(socket string) (int, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var optionErr error
	if err := raw.Control(func(fd uintptr) {
		credentials, optionErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if optionErr != nil {
		return 0, optionErr
	}
	if credentials.Pid <= 0 {
		return 0, errors.New("it runs in another pid namespace: send it SIGINT there")
	}
	return int(credentials.Pid), nil
}
