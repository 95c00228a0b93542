package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long a cgroup whose processes are dead may take to become empty.
const (
	removePause = 10 * time.Millisecond
	removeTries = 200
)

// signalBase is what an exit code adds to the number of the signal behind it.
const signalBase = 128

// wait waits for the process's end and clears up behind it.
func (s *Supervisor) wait(p *Process) {
	p.success, p.reason = p.body.wait()
	if p.left.Load() {
		return // it is the next daemon's
	}
	if p.group != nil && p.group.outOfMemory() {
		p.reason += ", out of the memory that its cgroup grants"
	}
	p.disconnect()
	if p.killed.Load() || p.success {
		p.log.Info("worker ended", "reason", p.reason)
	} else {
		p.log.Warn("worker ended by itself", "reason", p.reason, "log", logTail(filepath.Join(p.folder, "log")))
	}
	s.clear(p)
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
func (s *Supervisor) clear(p *Process) {
	if p.group != nil {
		if err := s.ungroup(p.group); err != nil {
			p.log.Error("worker's cgroup stays behind", "error", err)
		}
	}
	if err := os.RemoveAll(p.folder); err != nil {
		p.log.Error("worker's folder stays behind", "error", err)
	}
}

// ungroup removes a worker's cgroup, and with the last one that of all workers.
func (s *Supervisor) ungroup(group *cgroup) error {
	if err := removeCgroup(group); err != nil {
		return err
	}
	s.grouping.Lock()
	defer s.grouping.Unlock()
	s.groups--
	if s.groups > 0 {
		return nil
	}
	paths, err := newCgroupPaths(cgroupName(s.config.Folder))
	if err != nil {
		return err
	}
	parent, err := loadCgroup(paths)
	if err != nil || parent == nil {
		return err
	}
	return removeCgroup(parent)
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
