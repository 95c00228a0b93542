// Package server is the broker in the daemon: it takes the inventory, grants Leases over the ledger, gives each one a
// worker, and ends them. Its API is proto/broker.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"sluice/broker/buildcache"
	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/broker/session"
	"sluice/broker/supervisor"
)

// grantWaitMax bounds a Grant while workers do become ready, but for those who came before.
const grantWaitMax = 5 * time.Minute

// Defaults of Config.
const (
	WarmDefault         = 1
	StartTimeoutDefault = 30 * time.Second
	ProbeTimeoutDefault = 30 * time.Second
)

// Config says how the broker runs. Zero values mean the defaults.
type Config struct {
	StateFolder       string        // workers/, builds/ and session/broker.sock lie in it
	WorkerPath        string        // of the sluice-worker program
	Warm              int           // workers that wait with their driver loaded
	StartTimeout      time.Duration // for a worker's driver to load
	ProbeTimeout      time.Duration // for the inventory; bounds New
	CPUMemoryFraction float64       // of the host's memory that a CPU device may promise, over 0 to 1; the default is all that its driver reports
	Log               *slog.Logger
}

func (c *Config) complete() error {
	if c.Warm == 0 {
		c.Warm = WarmDefault
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = StartTimeoutDefault
	}
	if c.ProbeTimeout == 0 {
		c.ProbeTimeout = ProbeTimeoutDefault
	}
	if c.CPUMemoryFraction < 0 || c.CPUMemoryFraction > 1 || math.IsNaN(c.CPUMemoryFraction) {
		return fmt.Errorf("broker: CPU memory fraction is %g, must be over 0 to 1", c.CPUMemoryFraction)
	}
	return nil
}

// Server is the broker.
type Server struct {
	config      Config
	log         *slog.Logger
	supervisor  *supervisor.Supervisor
	listener    *session.Listener
	builds      *buildcache.Store
	emptyReason string // why the pool has no devices

	wake    chan struct{}  // the next expiry may have changed
	holds   sync.WaitGroup // one per hold
	leaving atomic.Bool
	left    chan struct{} // closed when what runs is the next daemon's

	mutex       sync.Mutex
	ledger      *lease.Ledger
	held        map[string]*hold // by the Lease's id, from Grant's end to the worker's
	stopping    bool
	subscribers map[*Subscription]struct{}
	counts      counts
}

// New takes the inventory and adopts the Leases of an earlier daemon. Drivers that crash or hang leave an empty pool, whose
// reason Devices tells.
func New(ctx context.Context, config Config) (made *Server, err error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: config.Log, wake: make(chan struct{}, 1), left: make(chan struct{}),
		held: map[string]*hold{}, counts: counts{health: map[healthCount]uint64{}}, subscribers: map[*Subscription]struct{}{},
	}
	if s.builds, err = buildcache.NewStore(filepath.Join(config.StateFolder, "builds")); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	s.supervisor, err = supervisor.New(supervisor.Config{
		WorkerPath: config.WorkerPath, Folder: filepath.Join(config.StateFolder, "workers"), Warm: config.Warm,
		StartTimeout: config.StartTimeout, ProbeTimeout: config.ProbeTimeout, Log: config.Log,
	})
	if err != nil {
		return nil, err
	}
	// After the supervisor, whose lock says that no other daemon serves here.
	s.listener, err = session.Listen(filepath.Join(config.StateFolder, "session", "broker.sock"), s, config.Log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.listener.Close()
		}
	}()
	s.ledger, err = lease.NewLedger(s.inventory(ctx))
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	s.adoptAll()
	return s, nil
}

// inventory lists what the pool may promise.
func (s *Server) inventory(ctx context.Context) []device.Device {
	inventory, err := s.supervisor.Probe(ctx)
	if err != nil {
		s.emptyReason = err.Error()
		s.log.Error("the pool is empty", "error", err)
		return nil
	}
	if len(inventory.Devices) == 0 {
		s.emptyReason = "no driver lists a device: " + strings.Join(inventory.Notes, "; ")
		s.log.Warn("the pool is empty", "reason", s.emptyReason)
	}
	hostBytes := hostMemoryBytes()
	for i := range inventory.Devices {
		d := &inventory.Devices[i]
		if d.Kind == device.KindCPU && s.config.CPUMemoryFraction > 0 {
			d.MemoryBytes = min(d.MemoryBytes, uint64(s.config.CPUMemoryFraction*float64(hostBytes)))
		}
		s.log.Info("device", "device", d.ID, "name", d.Name, "platform", d.Platform, "kind", d.Kind, "memory_bytes", d.MemoryBytes)
	}
	return inventory.Devices
}

func hostMemoryBytes() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return math.MaxUint64 // the driver's figure stands
	}
	return info.Totalram * uint64(info.Unit)
}

// Run keeps workers warm, accepts shims and ends Leases until ctx ends; then it ends every worker, but for Leave.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.listener.Run(ctx) })
	group.Go(func() error { return s.expire(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		s.mutex.Lock()
		s.stopping = true
		s.mutex.Unlock()
		return nil
	})
	group.Go(func() error { return s.watchHealth(ctx) })
	group.Go(func() error { return s.supervisor.Run(ctx) })
	err := group.Wait()
	if s.leaving.Load() {
		close(s.left)
	}
	s.holds.Wait()
	s.closeSubscriptions()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// expire ends Leases when their time has come.
func (s *Server) expire(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		s.mutex.Lock()
		for _, expired := range s.ledger.Expire(time.Now()) {
			if h := s.held[expired.ID]; h != nil {
				h.end(lease.EventExpired)
			}
		}
		next, some := s.ledger.NextExpiry()
		s.mutex.Unlock()
		if some {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// wakeExpire makes expire look at the ledger again.
func (s *Server) wakeExpire() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// SetTenantLimit says what a tenant may hold from now on.
func (s *Server) SetTenantLimit(tenant string, limit lease.TenantLimit) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ledger.SetTenantLimit(tenant, limit)
}
