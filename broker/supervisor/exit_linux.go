package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long a cgroup whose processes are dead may take to become empty.
const (
	removePause = 10 * time.Millisecond
	removeTries = 200
	// staleTimeout is for a process to be gone after its kill.
	staleTimeout = 5 * time.Second
)

// signalBase is what an exit code adds to the number of the signal behind it.
const signalBase = 128

// pidFile names a worker's process for the next daemon: its id and its start time, which together are unique.
const pidFile = "pid"

// wait reaps the process and clears up behind it.
func (s *Supervisor) wait(p *Process) {
	err := p.command.Wait()
	p.reason = describeExit(p.command.ProcessState, err)
	if p.group != nil && p.group.outOfMemory() {
		p.reason += ", out of the memory that its cgroup grants"
	}
	p.disconnect()
	if p.killed.Load() || p.command.ProcessState.Success() {
		p.log.Info("worker ended", "reason", p.reason)
	} else {
		p.log.Warn("worker ended by itself", "reason", p.reason, "log", logTail(filepath.Join(p.folder, "log")))
	}
	p.clear()
	s.forget(p)
	close(p.done)
}

// describeExit names the signal or the exit code.
func describeExit(state *os.ProcessState, err error) string {
	if state == nil {
		return fmt.Sprintf("cannot be waited for: %v", err)
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return "killed by signal " + unix.SignalName(status.Signal())
	}
	// As a shell does, a worker whose driver crashed ends with 128 and the signal's number.
	if name := unix.SignalName(syscall.Signal(state.ExitCode() - signalBase)); name != "" {
		return "crashed by signal " + name
	}
	return fmt.Sprintf("exit code %d", state.ExitCode())
}

// clear takes away what is left of a worker whose process is dead.
func (p *Process) clear() {
	if p.group != nil {
		if err := removeCgroup(p.group); err != nil {
			p.log.Error("worker's cgroup stays behind", "error", err)
		}
	}
	if err := os.RemoveAll(p.folder); err != nil {
		p.log.Error("worker's folder stays behind", "error", err)
	}
}

// removeCgroup tries for a while: the kernel takes its time to empty the group of a process tree that was killed.
func removeCgroup(group *cgroup) error {
	var err error
	for range removeTries {
		if err = group.remove(); err == nil {
			return nil
		}
		time.Sleep(removePause)
	}
	return err
}

// logTail reads the end of a worker's log.
func logTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	tail := make([]byte, min(info.Size(), logTailBytes))
	n, err := file.ReadAt(tail, info.Size()-int64(len(tail)))
	if err != nil && n == 0 {
		return ""
	}
	return strings.TrimSpace(string(tail[:n]))
}

// recordProcess writes the pid file.
func recordProcess(folder string, pid int) error {
	started, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("recording process %d: %w", pid, err)
	}
	text := fmt.Sprintf("%d %s\n", pid, started)
	if err := os.WriteFile(filepath.Join(folder, pidFile), []byte(text), 0o600); err != nil {
		return fmt.Errorf("recording process %d: %w", pid, err)
	}
	return nil
}

// startTime is field 22 of /proc/PID/stat, proc(5): ticks since the machine's start.
func startTime(pid int) (string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	// The program's name is in parentheses and may hold anything; the fields are counted behind it, from 3.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const startTimeField = 22 - 3
	if len(fields) <= startTimeField {
		return "", fmt.Errorf("process %d: %d fields in its stat file", pid, len(fields))
	}
	return fields[startTimeField], nil
}

// clearStale ends the workers that an earlier daemon left running, and takes away what is left of them.
func (s *Supervisor) clearStale() error {
	entries, err := os.ReadDir(s.config.Folder)
	if err != nil {
		return fmt.Errorf("supervisor: looking for stale workers: %w", err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		id := entry.Name()
		stale := &Process{ID: id, folder: filepath.Join(s.config.Folder, id), log: s.config.Log.With("worker", id)}
		pid, err := killRecorded(stale.folder)
		if err != nil {
			return fmt.Errorf("supervisor: ending stale worker %s: %w", id, err)
		}
		if stale.group, err = loadCgroup(cgroupName(s.config.Folder, id)); err != nil {
			stale.log.Warn("stale worker's cgroup", "error", err)
		}
		stale.clear()
		s.config.Log.Info("stale worker of an earlier daemon cleared", "worker", id, "worker_pid", pid)
	}
	return nil
}

// killRecorded kills the process that a folder's pid file names, if it still is that process, and waits until it is
// gone. Its pid is 0 when it was gone already.
func killRecorded(folder string) (pid int, err error) {
	text, err := os.ReadFile(filepath.Join(folder, pidFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var started string
	if _, err := fmt.Sscan(string(text), &pid, &started); err != nil || pid <= 1 {
		return 0, fmt.Errorf("malformed pid file %q", text)
	}
	// A descriptor of the process cannot come to mean another one between the check and the kill.
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if now, err := startTime(pid); err != nil || now != started {
		return 0, nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("killing process %d: %w", pid, err)
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, int(staleTimeout.Milliseconds())); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if poll[0].Revents == 0 {
		return 0, fmt.Errorf("process %d outlives its kill by %s", pid, staleTimeout)
	}
	return pid, nil
}
