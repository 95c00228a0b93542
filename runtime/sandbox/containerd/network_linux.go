package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"sluice/runtime/sandbox"
)

// dialPort connects to the function's port on the loopback of its own network namespace.
func (i *instance) dialPort(ctx context.Context) (net.Conn, error) {
	namespace, err := i.networkNamespace(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", i.identity.ID, err)
	}
	connection, err := dialIn(ctx, namespace, net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port)))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", i.identity.ID, err)
	}
	return connection, nil
}

// networkNamespace opens the namespace once. A process id may be another's by the time it is looked up, so the task must
// still run afterwards, and the host's own namespace is never taken for an Instance's.
func (i *instance) networkNamespace(ctx context.Context) (*os.File, error) {
	i.mu.Lock()
	opened, running := i.network, i.started && !i.ended && !i.deleted
	i.mu.Unlock()
	if !running {
		return nil, fmt.Errorf("%w stopped", sandbox.ErrState)
	}
	if opened != nil {
		return opened, nil
	}
	found, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", i.PID()))
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	err = notOwnNamespace(found)
	if err == nil {
		var state sandbox.State
		if state, err = i.State(ctx); err == nil && state != sandbox.Running {
			err = fmt.Errorf("%w %s", sandbox.ErrState, state)
		}
	}
	if err != nil {
		found.Close()
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deleted || i.network != nil { // another was quicker
		found.Close()
		if i.deleted {
			return nil, sandbox.ErrNotFound
		}
		return i.network, nil
	}
	i.network = found
	return found, nil
}

func notOwnNamespace(found *os.File) error {
	own, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return err
	}
	info, err := found.Stat()
	if err != nil {
		return err
	}
	if os.SameFile(own, info) {
		return fmt.Errorf("the program has no network namespace of its own")
	}
	return nil
}

// dialIn makes the socket on a thread that is in the namespace; a socket stays where it was made.
func dialIn(ctx context.Context, namespace *os.File, address string) (net.Conn, error) {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer own.Close()
	err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
	runtime.KeepAlive(namespace)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter network namespace: %w", err)
	}
	// An address in digits is dialled on this very goroutine, thus on this thread.
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp4", address)
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked and ends with its goroutine, so no other one runs in the wrong namespace.
		if connection != nil {
			connection.Close()
		}
		return nil, fmt.Errorf("leave network namespace: %w", back)
	}
	runtime.UnlockOSThread()
	return connection, err
}
