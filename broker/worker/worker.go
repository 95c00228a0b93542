// Package worker is the worker's side of the broker: it confines the process, answers the daemon on the control socket,
// and serves the Sessions of its one Lease.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"sluice/broker/buildcache"
	"sluice/broker/handover"
	"sluice/vdev/wire"
)

// Server serves the Sessions of the Lease that this worker was assigned.
type Server interface {
	// Serve serves one Session until the shim leaves (nil) or misbehaves (an error). The caller closes conn.
	Serve(ctx context.Context, conn *net.UnixConn, log *slog.Logger) error
	// Stats counts what went through the driver; its Sessions and SessionsOpen are ignored.
	Stats() handover.Stats
}

// Worker is the state of a worker process. Lock order: sending, then mutex.
type Worker struct {
	open   func(a handover.Assign, unpacked <-chan struct{}) (Server, error)
	log    *slog.Logger
	builds string // the folder in which the driver keeps what it compiles; empty where it is not known

	unpacked chan struct{} // closed when what the tenant has built before is in its place

	sessions sync.WaitGroup

	sending sync.Mutex // held while a message goes out
	conn    *handover.Conn

	mutex        sync.Mutex
	ready        handover.Ready // what a daemon is told first
	server       Server         // nil until assigned
	unpackedAt   time.Time
	had          buildcache.Manifest // of what was unpacked
	sessionsAll  uint64
	sessionsOpen uint64
}

// New makes a Worker whose driver is loaded and keeps what it compiles in the folder builds. When the worker is assigned,
// open makes what serves the Lease; unpacked is closed when what its tenant has built before is in that folder.
func New(ready handover.Ready, builds string, open func(a handover.Assign, unpacked <-chan struct{}) (Server, error), log *slog.Logger) *Worker {
	ready.ProtocolHash, ready.KeepsBuilds = wire.ProtocolHash, builds != ""
	return &Worker{ready: ready, builds: builds, open: open, log: log, unpacked: make(chan struct{})}
}

// Run serves one daemon after the other until ctx ends: Sessions outlive a daemon. It returns when they have ended too.
func (w *Worker) Run(ctx context.Context, listener *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer w.sessions.Wait()
	for {
		conn, err := handover.Accept(listener)
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.control(ctx, conn); err != nil {
			w.log.Error("control connection ended", "error", err)
		}
	}
}

// control answers one daemon until it leaves.
func (w *Worker) control(ctx context.Context, conn *handover.Conn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	w.setConn(conn)
	defer w.setConn(nil)
	w.mutex.Lock()
	ready := w.ready
	w.mutex.Unlock()
	if err := w.send(handover.Message{Ready: &ready}, nil); err != nil {
		return err
	}
	for {
		m, file, err := conn.Receive()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case m.Assign != nil:
			err = w.send(handover.Message{Assigned: &handover.Assigned{Error: handover.Reason(w.assign(*m.Assign, file))}}, nil)
		case m.Session != nil:
			err = w.session(ctx, *m.Session, file)
		case m.StatsRequest != nil:
			stats := w.stats()
			err = w.send(handover.Message{Stats: &stats}, nil)
		case m.BuildsRequest != nil:
			err = w.sendBuilds()
		default:
			err = fmt.Errorf("%w: not for a worker", handover.ErrMessage)
		}
		if err != nil {
			return err
		}
	}
}

// assign takes over builds, the package of what the tenant has built before, or nil.
func (w *Worker) assign(a handover.Assign, builds *os.File) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.server != nil {
		if builds != nil {
			builds.Close()
		}
		return errors.New("this worker has its lease already")
	}
	w.sessions.Go(func() { w.unpack(builds) })
	server, err := w.open(a, w.unpacked)
	if err != nil {
		return fmt.Errorf("opening the lease: %w", err)
	}
	w.server, w.ready.LeaseID = server, a.LeaseID
	w.log = w.log.With("lease", a.LeaseID, "tenant", a.Tenant, "holder", a.Holder)
	w.log.Info("assigned", "memory_bytes", a.MemoryBytes)
	return nil
}

// unpack puts the tenant's earlier builds where the driver looks for them.
func (w *Worker) unpack(builds *os.File) {
	defer close(w.unpacked)
	var had buildcache.Manifest
	if builds != nil {
		var err error
		if had, err = buildcache.Unpack(w.builds, builds); err != nil {
			w.log.Warn("what the tenant has built before is not all there", "error", err)
		}
		builds.Close()
	}
	w.mutex.Lock()
	w.had, w.unpackedAt = had, time.Now()
	w.mutex.Unlock()
}

// sendBuilds sends the tenant's builds, if the driver has compiled any since the Lease was assigned.
func (w *Worker) sendBuilds() error {
	w.mutex.Lock()
	since, had := w.unpackedAt, w.had
	w.mutex.Unlock()
	if w.builds == "" || since.IsZero() {
		return w.send(handover.Message{Builds: &handover.Builds{}}, nil)
	}
	memory, err := buildcache.Pack(w.builds, since, had)
	if err != nil || memory == nil {
		return w.send(handover.Message{Builds: &handover.Builds{Error: handover.Reason(err)}}, nil)
	}
	defer memory.Close()
	return w.send(handover.Message{Builds: &handover.Builds{Packed: true}}, memory)
}

// session starts serving a Session. It takes over file.
func (w *Worker) session(ctx context.Context, s handover.Session, file *os.File) error {
	generic, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return w.refuseSession(s, fmt.Errorf("using the session's descriptor: %w", err))
	}
	conn, isUnix := generic.(*net.UnixConn)
	w.mutex.Lock()
	server := w.server
	if !isUnix || server == nil {
		w.mutex.Unlock()
		generic.Close()
		return w.refuseSession(s, errors.New("no unix socket, or this worker has no lease"))
	}
	w.sessionsAll++
	w.sessionsOpen++
	log := w.log.With("session", s.ID, "shim_pid", s.PID)
	w.mutex.Unlock()

	w.sessions.Add(1)
	go func() {
		defer w.sessions.Done()
		log.Info("session started")
		err := server.Serve(ctx, conn, log)
		conn.Close()
		w.mutex.Lock()
		w.sessionsOpen--
		w.mutex.Unlock()
		if err != nil {
			log.Warn("session ended", "error", err)
		} else {
			log.Info("session ended")
		}
		if err := w.send(handover.Message{SessionEnded: &handover.SessionEnded{ID: s.ID, Error: handover.Reason(err)}}, nil); err != nil {
			log.Debug("no daemon to tell of the session's end", "error", err)
		}
	}()
	return nil
}

func (w *Worker) refuseSession(s handover.Session, err error) error {
	return w.send(handover.Message{SessionEnded: &handover.SessionEnded{ID: s.ID, Error: handover.Reason(err)}}, nil)
}

func (w *Worker) stats() handover.Stats {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var stats handover.Stats
	if w.server != nil {
		stats = w.server.Stats()
	}
	stats.Sessions, stats.SessionsOpen = w.sessionsAll, w.sessionsOpen
	return stats
}

func (w *Worker) setConn(conn *handover.Conn) {
	w.sending.Lock()
	defer w.sending.Unlock()
	w.conn = conn
}

func (w *Worker) send(m handover.Message, file *os.File) error {
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.conn == nil {
		return errors.New("no daemon is connected")
	}
	return w.conn.Send(m, file)
}
