// Package supervisor starts, watches and ends the worker processes: it is the daemon's only place that knows them as
// processes. It keeps workers warm, their drivers loaded, so that a Lease need not wait for one.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"sluice/broker/handover"
)

// Pauses between failed starts of a worker.
const (
	startPauseMin = 100 * time.Millisecond
	startPauseMax = 5 * time.Second
)

// warmPause is how long the next worker's start waits when one was taken and nobody waits for another: loading a driver
// takes a processor that the program which has just begun wants for its own start.
const warmPause = 200 * time.Millisecond

// ErrNoWorker is wrapped by Take's error when no worker became ready in time.
var ErrNoWorker = errors.New("no worker became ready")

// Config says how to run workers.
type Config struct {
	WorkerPath   string        // of the sluice-worker program
	Folder       string        // <state>/workers; one subfolder per worker
	Warm         int           // workers that wait with their driver loaded, at least 1
	StartTimeout time.Duration // for a worker's driver to load
	ProbeTimeout time.Duration // for the inventory
	Log          *slog.Logger
}

// Supervisor runs worker processes.
type Supervisor struct {
	config      Config
	confinement confinement
	lock        *os.File
	warm        chan *Process // unbuffered: a worker is offered while it waits
	wanted      chan struct{} // somebody waits for a worker
	waiting     atomic.Int64  // how many do
	made        atomic.Uint64 // workers that became ready so far
	noCgroup    sync.Once     // a host without cgroups is told of once
	lastFailure atomic.Pointer[error]

	leaving atomic.Bool

	grouping sync.Mutex // held while cgroups come and go
	groups   int        // cgroups of workers, below one that goes with the last

	mutex     sync.Mutex
	processes map[string]*Process
	adopted   []*Process
}

// New prepares the folder: it takes the folder's lock, adopts the workers of an earlier daemon that serve a Lease, and ends
// the others.
func New(config Config) (*Supervisor, error) {
	if config.Warm < 1 {
		return nil, fmt.Errorf("supervisor: %d warm workers, must be at least 1", config.Warm)
	}
	folder, err := filepath.Abs(config.Folder)
	if err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	config.Folder = folder
	if _, err := os.Stat(config.WorkerPath); err != nil {
		return nil, fmt.Errorf("supervisor: finding the worker's program: %w", err)
	}
	if err := os.MkdirAll(config.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("supervisor: making the workers' folder: %w", err)
	}
	s := &Supervisor{
		config: config, confinement: hostConfinement(),
		warm: make(chan *Process), wanted: make(chan struct{}, config.Warm), processes: map[string]*Process{},
	}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	if err := s.adoptAll(); err != nil {
		s.lock.Close()
		return nil, err
	}
	return s, nil
}

// takeLock keeps a second daemon from taking the first one's workers. The lock goes with the process.
func (s *Supervisor) takeLock() error {
	path := filepath.Join(s.config.Folder, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return fmt.Errorf("supervisor: another daemon uses %s: %w", s.config.Folder, err)
	}
	s.lock = file
	return nil
}

// Leave makes the end of Run leave the workers that have a Lease running, for the next daemon to adopt.
func (s *Supervisor) Leave() { s.leaving.Store(true) }

// Run keeps workers warm until ctx ends, then ends every worker, with its Lease or without, but for Leave.
func (s *Supervisor) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range s.config.Warm {
		group.Go(func() error { s.keepWarm(ctx); return nil })
	}
	err := group.Wait()
	s.mutex.Lock()
	left := make([]*Process, 0, len(s.processes))
	for _, p := range s.processes {
		left = append(left, p)
	}
	s.mutex.Unlock()
	left = slices.DeleteFunc(left, func(p *Process) bool {
		if !s.leaving.Load() || !p.recorded.Load() {
			return false
		}
		p.left.Store(true)
		p.disconnect()
		return true
	})
	for _, p := range left {
		p.Kill()
	}
	for _, p := range left {
		<-p.Done()
	}
	s.lock.Close()
	return err
}

// keepWarm starts a worker, offers it until it is taken or dies, and starts the next.
func (s *Supervisor) keepWarm(ctx context.Context) {
	pause := startPauseMin
	for ctx.Err() == nil {
		p, err := s.startReady(ctx)
		if err == nil {
			s.lastFailure.Store(nil)
			select {
			case s.warm <- p:
				pause = startPauseMin
				s.rest(ctx)
				continue
			case <-p.Done():
				err = fmt.Errorf("worker %s died while it waited: %s", p.ID, p.Reason())
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.lastFailure.Store(&err)
		s.config.Log.Error("no warm worker", "error", err, "again_in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, startPauseMax)
	}
}

// rest lets warmPause pass before the next start, unless somebody waits for it.
func (s *Supervisor) rest(ctx context.Context) {
	if s.waiting.Load() > 0 {
		return
	}
	select {
	case <-time.After(warmPause):
	case <-s.wanted:
	case <-ctx.Done():
	}
}

// startReady starts a worker and waits until its driver is loaded.
func (s *Supervisor) startReady(ctx context.Context) (*Process, error) {
	p, err := s.start(handover.ModeServe, nil)
	if err != nil {
		return nil, err
	}
	timeout := time.NewTimer(s.config.StartTimeout)
	defer timeout.Stop()
	select {
	case ready := <-p.ready:
		p.greeting = ready
		s.made.Add(1)
		s.config.Log.Info("worker warm", "worker", p.ID, "worker_pid", p.PID, "devices", ready.Devices,
			"load_ms", ready.LoadMs, "start_ms", time.Since(p.startedAt).Milliseconds())
		return p, nil
	case <-p.Done():
		return nil, fmt.Errorf("worker %s did not start: %s", p.ID, p.Reason())
	case <-timeout.C:
		err = fmt.Errorf("worker %s has not loaded its driver in %s", p.ID, s.config.StartTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.Kill()
	<-p.Done()
	return nil, err
}

// Take gives the caller a warm worker. It waits for one, after those who came before, until ctx ends or none at all has become
// ready for StartTimeout. The caller ends it with Kill.
func (s *Supervisor) Take(ctx context.Context) (*Process, error) {
	select {
	case p := <-s.warm:
		return p, nil
	default:
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	select {
	case s.wanted <- struct{}{}:
	default: // as many starts as there may be are under way
	}
	patience := time.NewTicker(s.config.StartTimeout)
	defer patience.Stop()
	for made := s.made.Load(); ; made = s.made.Load() {
		select {
		case p := <-s.warm:
			return p, nil
		case <-ctx.Done():
			return nil, s.noWorker(ctx.Err())
		case <-patience.C:
			if s.made.Load() == made {
				return nil, s.noWorker(fmt.Errorf("none has for %s", s.config.StartTimeout))
			}
		}
	}
}

// noWorker is Take's error.
func (s *Supervisor) noWorker(cause error) error {
	if failure := s.lastFailure.Load(); failure != nil {
		return fmt.Errorf("%w: %w: last failure: %w", ErrNoWorker, cause, *failure)
	}
	return fmt.Errorf("%w: %w", ErrNoWorker, cause)
}

func (s *Supervisor) forget(p *Process) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.processes, p.ID)
}
