package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/broker/client"
	"sluice/cmd/sluice/config"
	"sluice/runtime/image"
	"sluice/store"
)

// Exit codes, as docs/command-line.md lists them. `sluice run` and `sluice trace` end with their program's instead.
const (
	exitFailed      = 1
	exitUsage       = 2 // wrong arguments or input: the same again fails again
	exitUnavailable = 3 // no daemon, gateway or instance answers: later it may work
	exitNotFound    = 4
	exitDenied      = 5
	exitOverLimit   = 6 // no capacity is left, or a limit is reached
	exitDeadline    = 7
)

// errNoDaemon says that nobody answers on the daemon's socket.
var errNoDaemon = errors.New("no daemon answers")

// exitError ends the command with an exit code and no message.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is about the command line itself.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// callError is what went wrong at the daemon, told without the transport's words.
type callError struct {
	doing string
	err   error
}

func (e callError) Error() string { return e.doing + ": " + explain(e.err) }
func (e callError) Unwrap() error { return e.err }

// explain takes the wrapping of gRPC off an error: people read the message, not the transport's.
func explain(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	for _, known := range []struct {
		err  error
		code int
	}{
		{errNoDaemon, exitUnavailable},
		{os.ErrPermission, exitDenied},
		{config.ErrInvalid, exitUsage},
		{store.ErrInvalid, exitUsage},
		{image.ErrInvalid, exitUsage},
		{client.ErrNotFound, exitNotFound},
		{client.ErrNoCapacity, exitOverLimit},
		{context.DeadlineExceeded, exitDeadline},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	s, _ := status.FromError(err)
	switch s.Code() {
	case codes.InvalidArgument, codes.Unimplemented, codes.OutOfRange:
		return exitUsage
	case codes.Unavailable:
		return exitUnavailable
	case codes.NotFound:
		return exitNotFound
	case codes.Unauthenticated, codes.PermissionDenied:
		return exitDenied
	case codes.ResourceExhausted:
		return exitOverLimit
	case codes.DeadlineExceeded:
		return exitDeadline
	}
	return exitFailed
}
