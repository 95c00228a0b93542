package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/runtime/sandbox"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the leader alone, as a container's Stop does.
func terminate(group int) { _ = unix.Kill(group, unix.SIGTERM) }

func killGroup(group int) { _ = unix.Kill(-group, unix.SIGKILL) }

// killUnrecorded ends the process of an Instance whose Sandbox died between its start and the record of it: the program is
// known by its environment.
func killUnrecorded(id string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	mark := []byte("\x00" + sandbox.EnvInstance + "=" + id + "\x00")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environment, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, environment...), mark) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// awaitChild returns when the child has exited and leaves its status to be collected.
func awaitChild(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	if code := state.ExitCode(); code >= 0 {
		return code
	}
	return sandbox.ExitUnknown
}

// startTicks reads when a process started, in clock ticks since boot: field 22 of proc_pid_stat(5).
func startTicks(pid int) (uint64, error) {
	const fieldsAfterName = 19 // the name may hold spaces and parentheses, so count from behind it
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	if len(fields) <= fieldsAfterName {
		return 0, fmt.Errorf("stat of process %d has %d fields", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[fieldsAfterName]), 10, 64)
}

// watch is a file descriptor that names one process for good.
type watch struct{ pidfd int }

// watchProcess fails when the process is gone or its number belongs to another by now.
func watchProcess(pid int, ticks uint64) (watch, error) {
	if pid <= 0 {
		return watch{}, fmt.Errorf("process was never started: %w", unix.ESRCH)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return watch{}, fmt.Errorf("open process %d: %w", pid, err)
	}
	if now, err := startTicks(pid); err != nil || now != ticks {
		unix.Close(pidfd)
		return watch{}, fmt.Errorf("process %d is another one: %w", pid, unix.ESRCH)
	}
	return watch{pidfd}, nil
}

// await returns when the process has exited.
func (w watch) await() {
	defer unix.Close(w.pidfd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(w.pidfd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
