package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/broker/client"
	"sluice/runtime/image"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("anything"), exitFailed},
		{exitError{42}, 42},
		{usageError{errors.New("unknown flag")}, exitUsage},
		{fmt.Errorf("building: %w", image.ErrInvalid), exitUsage},
		{callError{"deploying f", status.Error(codes.InvalidArgument, "name")}, exitUsage},
		{fmt.Errorf("%w on a socket", errNoDaemon), exitUnavailable},
		{callError{"invoking f", status.Error(codes.Unavailable, "nobody")}, exitUnavailable},
		{callError{"removing f", status.Error(codes.NotFound, "f")}, exitNotFound},
		{fmt.Errorf("releasing: %w", client.ErrNotFound), exitNotFound},
		{fmt.Errorf("opening: %w", os.ErrPermission), exitDenied},
		{status.Error(codes.Unauthenticated, "no key"), exitDenied},
		{fmt.Errorf("leasing: %w", client.ErrNoCapacity), exitOverLimit},
		{status.Error(codes.ResourceExhausted, "queue"), exitOverLimit},
		{status.Error(codes.DeadlineExceeded, "late"), exitDeadline},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), exitDeadline},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

// An error of the daemon is told in its own words.
func TestCallErrorsAreTold(t *testing.T) {
	err := fmt.Errorf("later: %w", callError{"removing f", status.Error(codes.NotFound, "there is no f")})
	if got := explain(err); got != "later: removing f: there is no f" {
		t.Errorf("told %q", got)
	}
}

// What is wrong with a command line itself ends with the code for usage, below the groups too.
func TestWrongCommandLines(t *testing.T) {
	for _, line := range []string{"nonsense", "image nonsense", "config nonsense", "functions --nonsense", "deploy", "image build", "devices extra", "devices -o xml", "top --interval 1ns"} {
		_, err := runCommand(t, strings.Fields(line)...)
		if err == nil || exitCode(err) != exitUsage {
			t.Errorf("%s: %v", line, err)
		}
	}
	_, err := runCommand(t, "devices", "--state", t.TempDir())
	if err == nil || exitCode(err) != exitUnavailable {
		t.Errorf("without a daemon: %v", err)
	}
}

func TestCompletionIsWritten(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, err := runCommand(t, "completion", shell)
		if err != nil || !strings.Contains(out, "sluice") {
			t.Errorf("%s: %v, %d bytes", shell, err, len(out))
		}
	}
	out, err := runCommand(t, "__complete", "devices", "--output", "")
	if err != nil || !strings.Contains(out, "table\njson\nyaml\n") {
		t.Errorf("--output completes to %q, %v", out, err)
	}
}
