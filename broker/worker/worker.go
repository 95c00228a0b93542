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
	open func(handover.Assign) (Server, error)
	log  *slog.Logger

	sessions sync.WaitGroup

	sending sync.Mutex // held while a message goes out
	conn    *handover.Conn

	mutex        sync.Mutex
	ready        handover.Ready // what a daemon is told first
	server       Server         // nil until assigned
	sessionsAll  uint64
	sessionsOpen uint64
}

// New makes a Worker whose driver is loaded. When it is assigned, open makes what serves the Lease.
func New(ready handover.Ready, open func(handover.Assign) (Server, error), log *slog.Logger) *Worker {
	ready.ProtocolHash = wire.ProtocolHash
	return &Worker{ready: ready, open: open, log: log}
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
	if err := w.send(handover.Message{Ready: &ready}); err != nil {
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
			err = w.send(handover.Message{Assigned: &handover.Assigned{Error: handover.Reason(w.assign(*m.Assign))}})
		case m.Session != nil:
			err = w.session(ctx, *m.Session, file)
		case m.StatsRequest != nil:
			stats := w.stats()
			err = w.send(handover.Message{Stats: &stats})
		default:
			err = fmt.Errorf("%w: not for a worker", handover.ErrMessage)
		}
		if err != nil {
			return err
		}
	}
}

func (w *Worker) assign(a handover.Assign) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.server != nil {
		return errors.New("this worker has its lease already")
	}
	server, err := w.open(a)
	if err != nil {
		return fmt.Errorf("opening the lease: %w", err)
	}
	w.server, w.ready.LeaseID = server, a.LeaseID
	w.log = w.log.With("lease", a.LeaseID, "tenant", a.Tenant, "holder", a.Holder)
	w.log.Info("assigned", "memory_bytes", a.MemoryBytes)
	return nil
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
		if err := w.send(handover.Message{SessionEnded: &handover.SessionEnded{ID: s.ID, Error: handover.Reason(err)}}); err != nil {
			log.Debug("no daemon to tell of the session's end", "error", err)
		}
	}()
	return nil
}

func (w *Worker) refuseSession(s handover.Session, err error) error {
	return w.send(handover.Message{SessionEnded: &handover.SessionEnded{ID: s.ID, Error: handover.Reason(err)}})
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

func (w *Worker) send(m handover.Message) error {
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.conn == nil {
		return errors.New("no daemon is connected")
	}
	return w.conn.Send(m, nil)
}
