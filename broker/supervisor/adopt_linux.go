package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/broker/handover"
)

// adoptTimeout is for a worker that an earlier daemon started to answer.
const adoptTimeout = 10 * time.Second

// adoptAll takes over the workers of an earlier daemon that were assigned a Lease, and ends the others.
func (s *Supervisor) adoptAll() error {
	entries, err := os.ReadDir(s.config.Folder)
	if err != nil {
		return fmt.Errorf("supervisor: looking for an earlier daemon's workers: %w", err)
	}
	var group errgroup.Group
	for _, entry := range entries {
		if entry.IsDir() {
			group.Go(func() error { return s.adopt(entry.Name()) })
		}
	}
	return group.Wait()
}

// adopt fails only where a worker can be neither used nor ended.
func (s *Supervisor) adopt(id string) error {
	p := newProcess(id, filepath.Join(s.config.Folder, id), s.config.Log)
	found, err := p.recordedProcess()
	if err != nil {
		return fmt.Errorf("supervisor: worker %s of an earlier daemon: %w", id, err)
	}
	p.log = p.log.With("worker_pid", p.PID)
	if p.group, err = p.recordedCgroup(); err != nil {
		p.log.Warn("the cgroup of an earlier daemon's worker is not found", "error", err)
	}
	if p.group != nil {
		s.grouping.Lock()
		s.groups++
		s.grouping.Unlock()
	}
	if found == nil {
		s.clear(p)
		p.log.Info("cleared up behind a worker that ended without a daemon")
		return nil
	}
	p.body = found
	err = p.connect()
	s.add(p)
	if err == nil {
		err = p.greet()
	}
	if err != nil {
		p.log.Info("a worker of an earlier daemon is ended", "reason", err)
		p.Kill()
		<-p.done
		return nil
	}
	s.mutex.Lock()
	s.adopted = append(s.adopted, p)
	s.mutex.Unlock()
	p.log.Info("worker adopted", "lease", p.greeting.LeaseID)
	return nil
}

// connect reaches a worker that runs, if it was meant to have a Lease.
func (p *Process) connect() (err error) {
	if p.record, err = p.readRecord(recordFile); err != nil {
		return err
	}
	if p.record == nil {
		return errors.New("it has no lease")
	}
	p.recorded.Store(true)
	p.conn, err = handover.Dial(filepath.Join(p.folder, socketName))
	return err
}

// greet waits until the worker says which Lease it has.
func (p *Process) greet() error {
	go p.receive()
	timeout := time.NewTimer(adoptTimeout)
	defer timeout.Stop()
	select {
	case p.greeting = <-p.ready:
	case <-p.done:
		return fmt.Errorf("it died: %s", p.reason)
	case <-timeout.C:
		return fmt.Errorf("it does not answer within %s", adoptTimeout)
	}
	if p.greeting.LeaseID == "" {
		return errors.New("it was not assigned the lease that was meant for it")
	}
	return nil
}

// Adopted lists the workers of an earlier daemon that serve a Lease. The caller ends them with Kill.
func (s *Supervisor) Adopted() []*Process {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.adopted
}

// Record is what Assign or Keep was given to keep.
func (p *Process) Record() []byte { return p.record }

// Greeting is what the worker said first.
func (p *Process) Greeting() handover.Ready { return p.greeting }
