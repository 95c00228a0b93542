package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"sluice/runtime/sandbox"
)

// instance is a process and its group. Its only goroutine waits for the process and ends with it.
type instance struct {
	owner *Sandbox
	done  chan struct{} // closed once exit is set

	mu      sync.Mutex // guards what follows
	record  record
	command *exec.Cmd // nil for an adopted Instance
	state   sandbox.State
	deleted bool
	group   int // process group while its leader is not reaped: the number cannot name another's
	exit    sandbox.Exit
}

func newInstance(owner *Sandbox, r record) *instance {
	return &instance{owner: owner, record: r, state: sandbox.Created, done: make(chan struct{})}
}

func (i *instance) Identity() sandbox.Identity { return i.record.Identity }

func (i *instance) PID() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.group
}

func (i *instance) State(context.Context) (sandbox.State, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deleted {
		return "", fmt.Errorf("state of %s: %w", i.record.ID, sandbox.ErrNotFound)
	}
	return i.state, nil
}

func (i *instance) Start(context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deleted {
		return fmt.Errorf("start %s: %w", i.record.ID, sandbox.ErrNotFound)
	}
	if i.state != sandbox.Created {
		return fmt.Errorf("start %s: %w %s", i.record.ID, sandbox.ErrState, i.state)
	}
	// A file, not a pipe: the program must not block on a daemon that is gone.
	log, err := os.OpenFile(i.record.LogPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: open log: %w", i.record.ID, err)
	}
	defer log.Close()
	i.command.Stdout, i.command.Stderr = log, log
	i.command.SysProcAttr = ownGroup()
	if err := i.command.Start(); err != nil {
		i.ended(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()})
		return fmt.Errorf("start %s: %w: %w", i.record.ID, sandbox.ErrProgram, err)
	}
	i.state = sandbox.Running
	i.group = i.command.Process.Pid
	i.record.PID = i.group
	i.record.StartTicks, _ = startTicks(i.group)
	go i.reap()
	if err := i.record.write(i.owner.recordPath(i.record.ID)); err != nil {
		killGroup(i.group)
		return fmt.Errorf("start %s: %w", i.record.ID, err)
	}
	return nil
}

// reap waits for the process, ends what is left of its group as a container's end would, and only then frees the number.
func (i *instance) reap() {
	awaitChild(i.command.Process.Pid)
	i.mu.Lock()
	defer i.mu.Unlock()
	killGroup(i.group)
	code := sandbox.ExitUnknown
	_ = i.command.Wait() // the status is looked at below, whatever it is
	if i.command.ProcessState != nil {
		code = exitCode(i.command.ProcessState)
	}
	i.ended(sandbox.Exit{Code: code, At: time.Now()})
}

// adopt attaches to a process that another Sandbox started; what is gone is stopped.
func (i *instance) adopt() {
	watch, err := watchProcess(i.record.PID, i.record.StartTicks)
	if err != nil {
		if i.record.PID == 0 {
			killUnrecorded(i.record.ID)
		}
		i.ended(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()})
		return
	}
	i.state = sandbox.Running
	i.group = i.record.PID
	go func() {
		watch.await()
		i.mu.Lock()
		defer i.mu.Unlock()
		killGroup(i.group)
		i.ended(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()})
	}()
}

// ended is called with the lock held, or before the instance is known to others.
func (i *instance) ended(exit sandbox.Exit) {
	if i.state == sandbox.Stopped {
		return
	}
	i.state, i.exit, i.group = sandbox.Stopped, exit, 0
	close(i.done)
}

func (i *instance) Wait(ctx context.Context) (sandbox.Exit, error) {
	select {
	case <-i.done:
		return i.exit, nil
	case <-ctx.Done():
		return sandbox.Exit{}, fmt.Errorf("wait for %s: %w", i.record.ID, ctx.Err())
	}
}

func (i *instance) Stop(ctx context.Context, grace time.Duration) error {
	if !i.signal(terminate) {
		return nil
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-i.done:
		return nil
	case <-timer.C:
		return i.Kill(ctx)
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", i.record.ID, ctx.Err())
	}
}

func (i *instance) Kill(ctx context.Context) error {
	if !i.signal(killGroup) {
		return nil
	}
	_, err := i.Wait(ctx)
	return err
}

// signal sends while the number is still ours; false says that nothing runs.
func (i *instance) signal(send func(group int)) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.group == 0 {
		return false
	}
	send(i.group)
	return true
}

func (i *instance) Delete(ctx context.Context) error {
	if err := i.Kill(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deleted {
		return nil
	}
	i.deleted = true
	i.ended(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()})
	return i.owner.forget(i.record.ID)
}

func (i *instance) Target() string {
	if i.record.Port != 0 {
		return "passthrough:///" + i.address()
	}
	return "unix://" + filepath.Join(i.record.FunctionDir, sandbox.SocketName)
}

func (i *instance) Dial(ctx context.Context) (net.Conn, error) {
	if i.record.Port == 0 {
		return sandbox.DialSocket(ctx, i.record.FunctionDir)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", i.address())
}

func (i *instance) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.record.Port))
}
