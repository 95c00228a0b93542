// Package containerdtest starts a containerd of a test's own: Debian's binaries, but root, state and socket in a temporary
// folder. It needs root.
package containerdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
)

// config needs no more than this: everything that is written goes below one folder, and Kubernetes' plugin stays away.
// The socket of each container's shim lies in /run/containerd/s whatever the configuration says.
const config = `version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%[1]s/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
`

const patience = 60 * time.Second // bounds waiting for containerd's start and end

// Daemon is a running containerd.
type Daemon struct {
	Address string // of its socket
	dir     string
	command *exec.Cmd
}

// Start starts containerd and returns once it answers. Its log is containerd.log below dir, which should be short.
func Start(dir string) (*Daemon, error) {
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, fmt.Appendf(nil, config, dir), 0o600); err != nil {
		return nil, err
	}
	d := &Daemon{Address: filepath.Join(dir, "containerd.sock"), dir: dir}
	return d, d.run()
}

func (d *Daemon) run() error {
	log, err := os.OpenFile(filepath.Join(d.dir, "containerd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.command = exec.Command("containerd", "--config", filepath.Join(d.dir, "config.toml"))
	d.command.Stdout, d.command.Stderr = log, log
	if err := d.command.Start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	connected, err := d.connect()
	if err != nil {
		return errors.Join(fmt.Errorf("containerd does not answer: %w", err), d.end())
	}
	return connected.Close()
}

// connect returns once the daemon answers. The client alone does not wait for the socket.
func (d *Daemon) connect() (*client.Client, error) {
	connected, err := client.New(d.Address, client.WithTimeout(patience))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		serving, err := connected.IsServing(ctx)
		if serving {
			return connected, nil
		}
		if ctx.Err() != nil {
			return nil, errors.Join(err, connected.Close())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Restart ends the daemon and starts it again; its containers run on meanwhile.
func (d *Daemon) Restart() error {
	if err := d.end(); err != nil {
		return err
	}
	return d.run()
}

// Crash kills the daemon, which leaves its socket behind, and starts it again after what is done meanwhile.
func (d *Daemon) Crash(meanwhile func()) error {
	if err := d.command.Process.Kill(); err != nil {
		return fmt.Errorf("kill containerd: %w", err)
	}
	_ = d.command.Wait()
	meanwhile()
	return d.run()
}

// Stop deletes all tasks, since their shims would survive, and ends the daemon.
func (d *Daemon) Stop() error {
	return errors.Join(d.deleteTasks(), d.end())
}

func (d *Daemon) end() error {
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end containerd: %w", err)
	}
	timer := time.AfterFunc(patience, func() { _ = d.command.Process.Kill() })
	defer timer.Stop()
	if err := d.command.Wait(); err != nil {
		return fmt.Errorf("end containerd: %w", err)
	}
	return nil
}

func (d *Daemon) deleteTasks() error {
	connected, err := d.connect()
	if err != nil {
		return err
	}
	defer connected.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	names, err := connected.NamespaceService().List(ctx)
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	var failures []error
	for _, name := range names {
		ctx := namespaces.WithNamespace(ctx, name)
		containers, err := connected.Containers(ctx)
		failures = append(failures, err)
		for _, container := range containers {
			task, err := container.Task(ctx, nil)
			if err == nil {
				_, err = task.Delete(ctx, client.WithProcessKill)
			}
			if err != nil && !errdefs.IsNotFound(err) {
				failures = append(failures, fmt.Errorf("delete task of %s: %w", container.ID(), err))
			}
		}
	}
	return errors.Join(failures...)
}
