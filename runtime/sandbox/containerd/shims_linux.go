package containerd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// A containerd that is killed while it makes a task forgets the task's shim, the process between it and the container: both
// run on without anyone (containerd#6860). Shims of our namespace whose container does not exist are ended here.

// shimSockets is where shims listen, whatever containerd's configuration says.
const shimSockets = "/run/containerd/s"

const (
	shimGrace   = 2 * time.Second  // for a shim that is just ending by itself
	shimTimeout = 10 * time.Second // for a shim to delete its container
	shimRetry   = 50 * time.Millisecond
	shimEnd     = 5 * time.Second // from its kill
)

// shim is a running shim, named by its command line.
type shim struct {
	id    string // of its container
	pidfd int
}

// endLostShims returns when no shim of a container that does not exist is left, or says which cannot be ended.
func (s *Sandbox) endLostShims(ctx context.Context) error {
	running := s.runningShims()
	defer func() {
		for _, one := range running {
			unix.Close(one.pidfd)
		}
	}()
	if len(running) == 0 {
		return nil
	}
	containers, err := s.client.ContainerService().List(ctx) // later than the shims: a container is there before its shim
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	known := make(map[string]bool, len(containers))
	for _, container := range containers {
		known[container.ID] = true
	}
	var errs []error
	for _, one := range running {
		if !known[one.id] && !one.ends(shimGrace) {
			err := s.endShim(ctx, one)
			s.clearAway(one.id)
			s.log.Warn("ended a shim that containerd had lost", "instance", one.id, "error", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// runningShims finds the shims of our namespace at our containerd.
func (s *Sandbox) runningShims() []shim {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []shim
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue
		}
		pidfd, err := unix.PidfdOpen(pid, 0) // before it is looked at: it names this process for good
		if err != nil {
			continue
		}
		id, ours := s.shimOf(pid)
		if !ours {
			unix.Close(pidfd)
			continue
		}
		found = append(found, shim{id, pidfd})
	}
	return found
}

// shimOf reads a shim's command line: PROGRAM -namespace NAMESPACE -id CONTAINER -address CONTAINERD.
func (s *Sandbox) shimOf(pid int) (id string, ours bool) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", false
	}
	arguments := strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
	if !strings.HasPrefix(filepath.Base(arguments[0]), "containerd-shim-") || slices.Contains(arguments, "start") || slices.Contains(arguments, "delete") {
		return "", false
	}
	value := func(flag string) string {
		if at := slices.Index(arguments, flag); at >= 0 && at+1 < len(arguments) {
			return arguments[at+1]
		}
		return ""
	}
	id = value("-id")
	return id, id != "" && value("-namespace") == s.namespace && value("-address") == s.address
}

// ends says whether the process ends within a time.
func (one shim) ends(within time.Duration) bool {
	poll := []unix.PollFd{{Fd: int32(one.pidfd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(within); ; {
		count, err := unix.Poll(poll, int(max(time.Until(deadline), 0).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return count > 0
		}
	}
}

// shimSocket is the path of a shim's socket, as containerd names it.
func (s *Sandbox) shimSocket(id string) string {
	sum := sha256.Sum256([]byte(filepath.Join(s.address, s.namespace, id)))
	return filepath.Join(shimSockets, fmt.Sprintf("%x", sum))
}

// clearAway removes what a shim or a deletion that was broken off leaves of a container that is gone.
func (s *Sandbox) clearAway(id string) {
	s.removeDeadSocket(id)
	if err := removeCgroup(id); err != nil {
		s.log.Warn("a cgroup is left behind", "instance", id, "error", err)
	}
}

// removeDeadSocket takes away what a shim leaves that did not end in order. One that still listens removes it itself.
func (s *Sandbox) removeDeadSocket(id string) {
	path := s.shimSocket(id)
	connection, err := net.Dial("unix", path)
	if err == nil {
		connection.Close()
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("a dead shim's socket is left behind", "instance", id, "error", err)
		}
	}
}

// endShim asks a shim to delete its container and to end, and kills it if it does not.
func (s *Sandbox) endShim(ctx context.Context, one shim) error {
	socket := s.shimSocket(one.id)
	asked := s.askShimToEnd(ctx, socket, one)
	if asked == nil && one.ends(shimEnd) {
		return nil
	}
	if err := unix.PidfdSendSignal(one.pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end shim of %s: %w", one.id, errors.Join(asked, err))
	}
	if !one.ends(shimEnd) {
		return fmt.Errorf("shim of %s outlives its kill: %w", one.id, asked)
	}
	return os.RemoveAll(socket)
}

// askShimToEnd speaks to a shim as containerd does.
func (s *Sandbox) askShimToEnd(ctx context.Context, socket string, one shim) error {
	ctx, cancel := context.WithTimeout(ctx, shimTimeout)
	defer cancel()
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("dial shim of %s: %w", one.id, err)
	}
	client := ttrpc.NewClient(connection)
	defer client.Close()
	service := task.NewTTRPCTaskClient(client)
	for {
		// Refused when it has no container, or one that does not run; Delete tells.
		_, _ = service.Kill(ctx, &task.KillRequest{ID: one.id, Signal: uint32(unix.SIGKILL), All: true})
		_, err := service.Delete(ctx, &task.DeleteRequest{ID: one.id})
		if err == nil || errdefs.IsNotFound(errgrpc.ToNative(err)) {
			break
		}
		select {
		case <-time.After(shimRetry): // until the kill has worked
		case <-ctx.Done():
			return fmt.Errorf("delete what the shim of %s runs: %w", one.id, err)
		}
	}
	// It ends while it answers.
	_, _ = service.Shutdown(ctx, &task.ShutdownRequest{ID: one.id, Now: true})
	return nil
}
