package supervisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sluice/broker/handover"
)

// Limits of what the daemon waits for and reads.
const (
	sendTimeout  = time.Second // for a worker to have room for a message
	logTailBytes = 2 << 10     // of a dead worker's log, copied into the daemon's
	idBytes      = 4           // of a worker's name
)

// socketName is of the control socket in the worker's folder.
const socketName = "control.sock"

// Process is one worker process.
type Process struct {
	ID  string
	PID int

	folder    string
	startedAt time.Time
	log       *slog.Logger
	body      body
	group     *cgroup        // nil on a host without
	conn      *handover.Conn // nil for a probe
	greeting  handover.Ready // set before the worker is given to anyone
	inventory *os.File       // where a probe or a watch writes
	record    []byte         // of an adopted worker

	ready    chan handover.Ready
	assigned chan handover.Assigned

	asking sync.Mutex // held while Stats waits for its answer
	stats  chan handover.Stats
	builds chan packedBuilds

	recorded atomic.Bool // a Lease: the next daemon could adopt it
	left     atomic.Bool // to the next daemon
	killed   atomic.Bool // by us
	done     chan struct{}
	reason   string // set, as success is, before done is closed
	success  bool
}

func newProcess(id, folder string, log *slog.Logger) *Process {
	return &Process{
		ID: id, folder: folder, startedAt: time.Now(), log: log.With("worker", id),
		ready: make(chan handover.Ready, 1), assigned: make(chan handover.Assigned, 1), stats: make(chan handover.Stats, 1),
		builds: make(chan packedBuilds, 1),
		done:   make(chan struct{}),
	}
}

// start starts sluice-worker in a mode, and watches it. A probe, or a watch, writes to inventory.
func (s *Supervisor) start(mode string, inventory *os.File) (*Process, error) {
	random := make([]byte, idBytes)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("naming a worker: %w", err)
	}
	id := hex.EncodeToString(random)
	p := newProcess(id, filepath.Join(s.config.Folder, id), s.config.Log)
	p.inventory = inventory
	if err := os.MkdirAll(filepath.Join(p.folder, "scratch"), 0o700); err != nil {
		return nil, fmt.Errorf("making worker %s's folder: %w", id, err)
	}
	if err := s.launch(p, mode); err != nil {
		s.clear(p)
		return nil, fmt.Errorf("starting worker %s: %w", id, err)
	}
	s.add(p)
	if p.conn != nil {
		go p.receive()
	}
	return p, nil
}

// add begins to watch a process that runs.
func (s *Supervisor) add(p *Process) {
	s.mutex.Lock()
	s.processes[p.ID] = p
	s.mutex.Unlock()
	go s.wait(p)
}

// launch starts the process behind its gate, puts it where it belongs, and opens the gate.
func (s *Supervisor) launch(p *Process, mode string) error {
	logFile, err := os.OpenFile(filepath.Join(p.folder, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("making its log: %w", err)
	}
	defer logFile.Close()
	gate, opener, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making its gate: %w", err)
	}
	defer gate.Close()
	defer opener.Close()

	command := exec.Command(s.config.WorkerPath, "-stage", s.confinement.stage(), mode)
	command.Env = s.confinement.environment(p.folder)
	command.SysProcAttr = s.confinement.attributes()
	command.Stdin, command.Stdout, command.Stderr = gate, logFile, logFile
	switch mode {
	case handover.ModeServe:
		listener, err := s.connect(p)
		if err != nil {
			return err
		}
		defer listener.Close()
		command.ExtraFiles = []*os.File{listener}
	case handover.ModeProbe, handover.ModeWatch:
		command.Stdout = p.inventory
	}
	if err := command.Start(); err != nil {
		p.disconnect()
		return err
	}
	p.body, p.PID = child{command}, command.Process.Pid
	p.log = p.log.With("worker_pid", p.PID)
	err = s.settle(p)
	if err == nil {
		_, err = opener.WriteString(handover.Gate)
	}
	if err != nil {
		p.disconnect()
		err = errors.Join(err, p.body.kill())
		p.body.wait()
	}
	return err
}

// connect makes the control socket and the daemon's connection to it. The worker gets the listener.
func (s *Supervisor) connect(p *Process) (*os.File, error) {
	path := filepath.Join(p.folder, socketName)
	listener, err := handover.Listen(path)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if p.conn, err = handover.Dial(path); err != nil {
		return nil, err
	}
	file, err := listener.File()
	if err != nil {
		p.disconnect()
		return nil, fmt.Errorf("passing on the control socket: %w", err)
	}
	return file, nil
}

func (p *Process) disconnect() {
	if p.conn != nil {
		p.conn.Close()
	}
}

// settle records the process for the next daemon, and limits it.
func (s *Supervisor) settle(p *Process) error {
	if err := p.recordProcess(); err != nil {
		return err
	}
	if err := s.limit(p); err != nil {
		s.noCgroup.Do(func() {
			s.config.Log.Warn("this host lets no cgroup hold a worker's memory and compute: only the worker's own counting "+
				"holds its memory, and nothing its compute", "error", err)
		})
	}
	return nil
}

// limit puts the process into a cgroup of its own.
func (s *Supervisor) limit(p *Process) error {
	all, err := newCgroupPaths(cgroupName(s.config.Folder))
	if err != nil {
		return err
	}
	s.grouping.Lock()
	defer s.grouping.Unlock()
	if _, err := newParent(all); err != nil {
		return err
	}
	paths := all.below(p.ID)
	if err := p.recordCgroup(paths); err != nil {
		return err
	}
	group, err := newCgroup(paths, OverheadBytes)
	if err != nil {
		return err
	}
	if err := group.add(p.PID); err != nil {
		return errors.Join(err, group.remove())
	}
	p.group = group
	s.groups++
	return nil
}

// receive takes the worker's messages until the connection ends. A worker that breaks the protocol is ended.
func (p *Process) receive() {
	for {
		m, file, err := p.conn.Receive()
		if file != nil && m.Builds == nil {
			file.Close() // a worker has no session to give
			err = fmt.Errorf("%w: not for the daemon", handover.ErrMessage)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return // the process is ending, and wait sees why
		case err != nil:
		case m.Ready != nil:
			err = offer(p.ready, *m.Ready)
		case m.Assigned != nil:
			err = offer(p.assigned, *m.Assigned)
		case m.Stats != nil:
			select { // an answer that came too late makes room
			case <-p.stats:
			default:
			}
			err = offer(p.stats, *m.Stats)
		case m.Builds != nil:
			if err = offer(p.builds, packedBuilds{*m.Builds, file}); err != nil && file != nil {
				file.Close()
			}
		case m.SessionEnded != nil:
			p.log.Debug("session ended", "session", m.SessionEnded.ID, "error", m.SessionEnded.Error)
		default:
			err = fmt.Errorf("%w: not for the daemon", handover.ErrMessage)
		}
		if err != nil {
			p.log.Error("worker breaks the control protocol, and is ended", "error", err)
			p.Kill()
			return
		}
	}
}

// offer keeps an answer for whoever asked; a second one that nobody asked for is a fault.
func offer[T any](to chan T, answer T) error {
	select {
	case to <- answer:
		return nil
	default:
		return fmt.Errorf("%w: %T that nobody asked for", handover.ErrMessage, answer)
	}
}

// Assign gives the worker its Lease and its limits, of memory and of compute, and waits for its answer. The record is kept with the worker
// from before it can serve the Lease until it ends. The builds that the tenant has from before may be nil; the caller still owns them.
func (p *Process) Assign(ctx context.Context, a handover.Assign, record []byte, builds *os.File) error {
	if p.group != nil {
		if err := p.group.grant(a.MemoryBytes+OverheadBytes, weightOf(a.ComputeMilli)); err != nil {
			return fmt.Errorf("limiting worker %s: %w", p.ID, err)
		}
	}
	if err := p.Keep(record); err != nil {
		return err
	}
	a.Builds = builds != nil && p.greeting.KeepsBuilds
	if !a.Builds {
		builds = nil
	}
	if err := p.send(handover.Message{Assign: &a}, builds); err != nil {
		return err
	}
	select {
	case answer := <-p.assigned:
		if answer.Error != "" {
			return fmt.Errorf("worker %s refuses lease %s: %s", p.ID, a.LeaseID, answer.Error)
		}
		return nil
	case <-p.done:
		return fmt.Errorf("worker %s died: %s", p.ID, p.reason)
	case <-ctx.Done():
		return fmt.Errorf("waiting for worker %s: %w", p.ID, ctx.Err())
	}
}

// Keep replaces the record.
func (p *Process) Keep(record []byte) error {
	if err := p.writeRecord(recordFile, record); err != nil {
		return err
	}
	p.recorded.Store(true)
	return nil
}

// HandOver sends a shim's connection to the worker. The caller still owns conn.
func (p *Process) HandOver(s handover.Session, conn *os.File) error {
	return p.send(handover.Message{Session: &s}, conn)
}

// Stats asks the worker for its counts.
func (p *Process) Stats(ctx context.Context) (handover.Stats, error) {
	p.asking.Lock()
	defer p.asking.Unlock()
	if err := p.send(handover.Message{StatsRequest: &handover.StatsRequest{}}, nil); err != nil {
		return handover.Stats{}, err
	}
	select {
	case answer := <-p.stats:
		return answer, nil
	case <-p.done:
		return handover.Stats{}, fmt.Errorf("worker %s died: %s", p.ID, p.reason)
	case <-ctx.Done():
		return handover.Stats{}, fmt.Errorf("waiting for worker %s: %w", p.ID, ctx.Err())
	}
}

// packedBuilds is the answer to BuildsRequest.
type packedBuilds struct {
	handover.Builds
	file *os.File // nil where there is nothing new
}

// Builds asks the worker for what its driver has compiled. The file is the caller's; it is nil where there is nothing new.
// It is asked once in a worker's life.
func (p *Process) Builds(ctx context.Context) (*os.File, error) {
	if !p.greeting.KeepsBuilds {
		return nil, nil
	}
	if err := p.send(handover.Message{BuildsRequest: &handover.BuildsRequest{}}, nil); err != nil {
		return nil, err
	}
	select {
	case answer := <-p.builds:
		if answer.Error != "" {
			return nil, fmt.Errorf("worker %s has no builds: %s", p.ID, answer.Error)
		}
		return answer.file, nil
	case <-p.done:
		return nil, fmt.Errorf("worker %s died: %s", p.ID, p.reason)
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for worker %s: %w", p.ID, ctx.Err())
	}
}

func (p *Process) send(m handover.Message, conn *os.File) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("worker %s: %w", p.ID, err)
	}
	if err := p.conn.Send(m, conn); err != nil {
		return fmt.Errorf("worker %s: %w", p.ID, err)
	}
	return nil
}

// Kill ends the process at once: a driver cannot refuse, and the kernel frees what it held.
func (p *Process) Kill() {
	p.killed.Store(true)
	if err := p.body.kill(); err != nil {
		p.log.Error("worker cannot be killed", "error", err)
	}
}

// Done is closed when the process has ended, its cgroup and its folder are gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Reason says how the process ended, once Done is closed.
func (p *Process) Reason() string { return p.reason }
