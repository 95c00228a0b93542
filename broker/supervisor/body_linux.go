package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"
)

// body is a worker's process as this daemon can end it and wait for it.
type body interface {
	// kill ends the process at once. That it has ended is no error.
	kill() error
	// wait returns when it has ended: whether with exit code 0, and how. It is called once.
	wait() (success bool, reason string)
}

// child is a process that this daemon started.
type child struct{ command *exec.Cmd }

func (c child) kill() error {
	if err := c.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func (c child) wait() (success bool, reason string) {
	err := c.command.Wait()
	state := c.command.ProcessState
	return state != nil && state.Success(), describeExit(state, err)
}

// orphan is a process that an earlier daemon started.
type orphan struct {
	mutex sync.Mutex
	pidfd int // names the process for good; -1 once it has ended
}

// findOrphan is nil when the process is gone, or its number another's by now.
func findOrphan(pid int, started string) (*orphan, error) {
	// The descriptor cannot come to mean another process between the check and a kill.
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	if now, err := startTime(pid); err != nil || now != started {
		unix.Close(pidfd)
		return nil, nil
	}
	return &orphan{pidfd: pidfd}, nil
}

func (o *orphan) kill() error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.pidfd < 0 {
		return nil
	}
	if err := unix.PidfdSendSignal(o.pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

func (o *orphan) wait() (success bool, reason string) {
	poll := []unix.PollFd{{Fd: int32(o.pidfd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, -1); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	unix.Close(o.pidfd)
	o.pidfd = -1
	return false, "ended; how is known only to the earlier daemon that started it"
}
