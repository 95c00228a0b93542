package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"sluice/runtime/sandbox"
)

// retryAfter is how long to wait before asking a containerd again that went away; its containers run on.
const retryAfter = 200 * time.Millisecond

// instance is a container with its task. It has no goroutine: containerd is asked.
type instance struct {
	owner     *Sandbox
	container client.Container
	task      client.Task // nil where the container has none
	identity  sandbox.Identity
	port      int

	mu      sync.Mutex // guards what follows
	started bool
	ended   bool // the exit was noticed
	deleted bool
	exit    *sandbox.Exit // nil while unknown
	network *os.File      // the network namespace, once dialled
}

func (i *instance) Identity() sandbox.Identity { return i.identity }

func (i *instance) PID() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.started || i.ended || i.task == nil {
		return 0
	}
	return int(i.task.Pid())
}

func (i *instance) State(ctx context.Context) (sandbox.State, error) {
	if i.isDeleted() {
		return "", fmt.Errorf("state of %s: %w", i.identity.ID, sandbox.ErrNotFound)
	}
	if i.task == nil {
		return sandbox.Stopped, nil
	}
	status, err := i.task.Status(i.in(ctx))
	if errdefs.IsNotFound(err) {
		return sandbox.Stopped, nil
	}
	if err != nil {
		return "", fmt.Errorf("state of %s: %w", i.identity.ID, abandoned(ctx, err))
	}
	switch status.Status {
	case client.Created:
		return sandbox.Created, nil
	case client.Stopped, client.Unknown:
		return sandbox.Stopped, nil
	}
	return sandbox.Running, nil // also while it is paused
}

func (i *instance) Start(ctx context.Context) error {
	state, err := i.State(ctx)
	if err != nil {
		return err
	}
	if state != sandbox.Created {
		return fmt.Errorf("start %s: %w %s", i.identity.ID, sandbox.ErrState, state)
	}
	// Before it runs: a Wait can see the end of a short program before Start returns.
	i.setStarted(true)
	if err := i.task.Start(i.in(ctx)); err != nil {
		i.setStarted(false)
		if errdefs.IsFailedPrecondition(err) {
			return fmt.Errorf("start %s: %w: %w", i.identity.ID, sandbox.ErrState, err)
		}
		return notFound(err, "start "+i.identity.ID)
	}
	return nil
}

func (i *instance) setStarted(started bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.started = started
}

func (i *instance) Wait(ctx context.Context) (sandbox.Exit, error) {
	for {
		if exit := i.known(); exit != nil {
			return *exit, nil
		}
		if i.task == nil {
			return i.note(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()}), nil
		}
		statuses, err := i.task.Wait(i.in(ctx))
		if err != nil {
			return sandbox.Exit{}, fmt.Errorf("wait for %s: %w", i.identity.ID, err)
		}
		status := <-statuses
		code, at, err := status.Result()
		err = errgrpc.ToNative(err)
		switch {
		case err == nil:
			return i.note(sandbox.Exit{Code: int(code), OutOfMemory: outOfMemory(i.identity.ID), At: at}), nil
		case errdefs.IsNotFound(err):
			return i.note(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()}), nil
		case ctx.Err() != nil:
			return sandbox.Exit{}, fmt.Errorf("wait for %s: %w", i.identity.ID, ctx.Err())
		case !errdefs.IsUnavailable(err):
			return sandbox.Exit{}, fmt.Errorf("wait for %s: %w", i.identity.ID, err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
		}
	}
}

func (i *instance) known() *sandbox.Exit {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.exit
}

// note keeps the first exit that was seen: after Delete nobody can ask again.
func (i *instance) note(exit sandbox.Exit) sandbox.Exit {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.exit == nil {
		if !i.started {
			exit.Code = sandbox.ExitUnknown // what was killed is not the program
		}
		i.exit = &exit
		i.ended = true
	}
	return *i.exit
}

func (i *instance) Stop(ctx context.Context, grace time.Duration) error {
	running, err := i.signal(ctx, syscall.SIGTERM)
	if err != nil || !running {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if _, err := i.Wait(waiting); err == nil || ctx.Err() != nil {
		return err
	}
	return i.Kill(ctx)
}

func (i *instance) Kill(ctx context.Context) error {
	running, err := i.signal(ctx, syscall.SIGKILL)
	if err != nil || !running {
		return err
	}
	_, err = i.Wait(ctx)
	return err
}

// signal sends to the program, the first process of its pid namespace: with it all others end. false says that none ran.
func (i *instance) signal(ctx context.Context, signal syscall.Signal) (bool, error) {
	if i.isDeleted() {
		return false, nil
	}
	state, err := i.State(ctx)
	if err != nil || state != sandbox.Running {
		return false, err
	}
	err = i.task.Kill(i.in(ctx), signal)
	if errdefs.IsNotFound(err) || errdefs.IsFailedPrecondition(err) { // it has just exited, and Wait will see that
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("send %s to %s: %w", signal, i.identity.ID, abandoned(ctx, err))
	}
	return true, nil
}

// abandoned is why a request to containerd failed: that its caller gave it up, of which containerd tells no kind, only text.
// containerd may notice a deadline before the context's own timer fires.
func abandoned(ctx context.Context, err error) error {
	if deadline, limited := ctx.Deadline(); limited && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (i *instance) Delete(ctx context.Context) error {
	ctx, cancel := lasting(i.in(ctx))
	defer cancel()
	if i.isDeleted() {
		return nil
	}
	if err := i.deleteTask(ctx); err != nil {
		return fmt.Errorf("delete task of %s: %w", i.identity.ID, err)
	}
	if err := i.container.Delete(ctx, client.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container %s: %w", i.identity.ID, err)
	}
	i.owner.clearAway(i.identity.ID)
	i.note(sandbox.Exit{Code: sandbox.ExitUnknown, At: time.Now()})
	i.mu.Lock()
	defer i.mu.Unlock()
	i.deleted = true
	i.network = nil // closed once no Dial uses it any more
	return nil
}

// deleteTask asks containerd for the task: a Create that was broken off may have made one without knowing.
func (i *instance) deleteTask(ctx context.Context) error {
	task, err := i.container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := client.WithProcessKill(ctx, task); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if i.task != nil {
		if _, err := i.Wait(ctx); err != nil { // while it can be told why it ended
			return err
		}
	}
	if _, err := task.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

func (i *instance) isDeleted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.deleted
}

func (i *instance) in(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, i.owner.namespace)
}

func (i *instance) Target() string {
	if i.port != 0 {
		return "passthrough:///" + i.identity.ID
	}
	return "unix://" + filepath.Join(i.identity.FunctionDir, sandbox.SocketName)
}

func (i *instance) Dial(ctx context.Context) (net.Conn, error) {
	if i.port != 0 {
		return i.dialPort(ctx)
	}
	return sandbox.DialSocket(ctx, i.identity.FunctionDir)
}
