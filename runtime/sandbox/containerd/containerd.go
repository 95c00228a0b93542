// Package containerd runs Instances as containers of containerd: no device node but the harmless six, no network but a
// loopback of its own, a read-only root, no capability, the default seccomp profile, and limits by cgroup.
//
// containerd keeps all state: an Instance is a container with labels, its snapshot and its task. So Instances survive this
// process, and List finds them in another. Logs go to files, written by the container's shim, which outlives both.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
)

// Defaults of Debian's containerd and of Sluice.
const (
	DefaultAddress   = "/run/containerd/containerd.sock"
	DefaultNamespace = "sluice"
)

const (
	// containerd gets slow when more than about ten containers are created at once.
	concurrentCreatesMax = 8
	// A shim is left behind when a deletion is given up early, so cleaning up has long.
	cleanupTimeout = 2 * time.Minute
)

// ErrUnavailable says that containerd does not answer.
var ErrUnavailable = errors.New("containerd does not answer")

// connectTimeout bounds one try to connect.
const connectTimeout = 10 * time.Second

// reconnect is how often one tries while containerd is down. A try on a local socket costs nothing, and calls fail at once until
// one succeeds: with the client's own steps of up to ten seconds no instance would start for as long after containerd is back.
var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 250 * time.Millisecond}

// Sandbox implements sandbox.Sandbox in one containerd namespace, which belongs to Sluice.
type Sandbox struct {
	client    *client.Client
	address   string // of containerd's socket
	namespace string
	folder    inject.Folder
	log       *slog.Logger
	creates   chan struct{} // holds a token per Create in flight

	mu       sync.Mutex
	creating map[string]bool // ids of Creates in flight
}

// Connect attaches to the containerd at address, the path of its socket. It fails with ErrUnavailable when nobody answers.
func Connect(ctx context.Context, address, namespace string, folder inject.Folder, log *slog.Logger) (*Sandbox, error) {
	// The client would wait for the socket; a person wants to be told.
	var dialer net.Dialer
	probe, err := dialer.DialContext(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrUnavailable, address, err)
	}
	probe.Close()
	connected, err := client.New(address, client.WithDefaultNamespace(namespace), client.WithExtraDialOpts([]grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
	}))
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrUnavailable, address, err)
	}
	version, err := connected.Version(ctx)
	if err != nil {
		connected.Close()
		return nil, fmt.Errorf("%w at %s: %w", ErrUnavailable, address, err)
	}
	log.Info("containerd connected", "address", address, "namespace", namespace, "version", version.Version)
	return &Sandbox{
		client: connected, address: address, namespace: namespace, folder: folder, log: log,
		creates: make(chan struct{}, concurrentCreatesMax), creating: make(map[string]bool),
	}, nil
}

// Client is the connection, for importing images.
func (s *Sandbox) Client() *client.Client { return s.client }

// Close ends the connection; Instances run on.
func (s *Sandbox) Close() error { return s.client.Close() }

// List returns an Instance for every container with Sluice's labels, but for those that this Sandbox is just creating. It also
// clears away what Creates left that were broken off, by the end of a process or of containerd.
func (s *Sandbox) List(ctx context.Context) ([]sandbox.Instance, error) {
	ctx = namespaces.WithNamespace(ctx, s.namespace)
	if err := s.collectUnfinished(ctx); err != nil {
		return nil, err
	}
	if err := s.endLostShims(ctx); err != nil {
		s.log.Error("a shim that containerd had lost is left for now", "error", err)
	}
	containers, err := s.client.Containers(ctx, fmt.Sprintf("labels.%q", labelTenant))
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	found := []sandbox.Instance{}
	for _, container := range containers {
		if s.isCreating(container.ID()) {
			continue
		}
		attached, err := s.attach(ctx, container)
		if errors.Is(err, sandbox.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		found = append(found, attached)
	}
	slices.SortFunc(found, func(a, b sandbox.Instance) int { return strings.Compare(a.Identity().ID, b.Identity().ID) })
	return found, nil
}

func (s *Sandbox) isCreating(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.creating[id]
}

// reserve keeps List from showing what is half created; it fails when the id is being created already.
func (s *Sandbox) reserve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.creating[id] {
		return fmt.Errorf("create %s: %w", id, sandbox.ErrExists)
	}
	s.creating[id] = true
	return nil
}

func (s *Sandbox) unreserve(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.creating, id)
}

// attach makes an Instance of a container that this or another process created.
func (s *Sandbox) attach(ctx context.Context, container client.Container) (*instance, error) {
	labels, err := container.Labels(ctx)
	if err != nil {
		return nil, notFound(err, "labels of "+container.ID())
	}
	identity, port, err := parseLabels(container.ID(), labels)
	if err != nil {
		return nil, err
	}
	attached := &instance{owner: s, container: container, identity: identity, port: port}
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return attached, nil // half created, or half deleted: stopped
	}
	if err != nil {
		return nil, fmt.Errorf("task of %s: %w", identity.ID, err)
	}
	attached.task = task
	status, err := task.Status(ctx)
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("status of %s: %w", identity.ID, err)
	}
	attached.started = status.Status != client.Created
	attached.ended = err != nil || status.Status == client.Stopped || status.Status == client.Unknown
	return attached, nil
}

// notFound turns containerd's kind of error into ours.
func notFound(err error, doing string) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%s: %w", doing, sandbox.ErrNotFound)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
