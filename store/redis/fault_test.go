package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/redis"
	"sluice/store/storetest"
)

// The suites' answers do not change while the server is killed and paused again and again, as calls wait and try again.
func TestSuitesUnderFaults(t *testing.T) {
	server := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var chaos sync.WaitGroup
	defer chaos.Wait()
	defer cancel()
	chaos.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			select {
			case <-ctx.Done():
			case <-time.After(150 * time.Millisecond):
			}
			if i%2 == 0 {
				server.kill(t)
				if err := server.start(); err != nil {
					t.Error(err)
					return
				}
			} else {
				pause(t, server, 150*time.Millisecond)
			}
		}
	})
	factory := server.factory("retry_for=15s&read_timeout=100ms")
	t.Run("Registry", func(t *testing.T) { storetest.RunRegistry(t, factory) })
	t.Run("Queue", func(t *testing.T) { storetest.RunQueue(t, factory) })
	t.Run("Counters", func(t *testing.T) { storetest.RunCounters(t, factory) })
}

func pause(t *testing.T, server *server, length time.Duration) {
	server.signal(t, syscall.SIGSTOP)
	time.Sleep(length)
	server.signal(t, syscall.SIGCONT)
}

func TestUnavailable(t *testing.T) {
	server := newServer(t)
	engine := open(t, server.url("retry_for=200ms"))
	changes, err := engine.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	server.kill(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := engine.Get(ctx, kind, "a"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a call whose time was up first: %v", err)
	}
	_, get := engine.Get(t.Context(), kind, "a")
	_, list := engine.List(t.Context(), kind, "")
	_, watch := engine.Watch(t.Context(), kind)
	_, receive := engine.Receive(t.Context(), "work", time.Second)
	_, opened := redis.Open(t.Context(), server.url("retry_for=200ms"), discard)
	for call, err := range map[string]error{
		"get": get, "list": list, "watch": watch, "receive": receive, "open": opened,
		"delete": engine.Delete(t.Context(), kind, "a", 1),
		"send":   engine.Send(t.Context(), "work", "m", nil),
		"add":    engine.Add(t.Context(), "t1", map[string]int64{"n": 1}),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: error is %v", call, err)
		}
	}
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	revision := put(t, open(t, server.url("")), "a")
	if change := next(t, changes); change.Revision != revision {
		t.Errorf("after the outage the watch gives %+v", change)
	}
}

// load is writers, a consumer and a watch that work while the server suffers; it checks what they are told.
type load struct {
	*testing.T
	engine       *redis.Store
	acknowledged atomic.Int64 // writes, so that faults come amid them
	stop         chan struct{}

	mutex   sync.Mutex
	records map[string]string   // by name: the last acknowledged value
	sent    map[string]struct{} // acknowledged messages
	removed map[string]struct{} // acknowledged removals
	going   map[string]struct{} // messages whose removal ended with ErrUnavailable
	added   int64               // acknowledged
	perhaps int64               // additions that ended with ErrUnavailable
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// check reports an error that is not ErrUnavailable, and whether the call succeeded.
func (l *load) check(call string, err error) bool {
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		l.Errorf("%s: %v", call, err)
	}
	if err == nil {
		l.acknowledged.Add(1)
	}
	return err == nil
}

// write counts up one record of its own, and sends and adds as many.
func (l *load) write(name string) {
	var revision uint64
	tried := make(map[string]bool) // values whose fate is unknown
	for n := 1; !l.stopped(); n++ {
		value := strconv.Itoa(n)
		written, err := l.engine.Put(l.Context(), kind, name, []byte(value), revision)
		switch {
		case errors.Is(err, store.ErrConflict) && len(tried) > 0 || errors.Is(err, store.ErrUnavailable):
			tried[value] = true
			revision = l.lookUp(name, tried)
		case l.check("put", err):
			revision = written
			l.mutex.Lock()
			l.records[name] = value
			l.mutex.Unlock()
		}
		id := name + "-" + value
		if l.check("send", l.engine.Send(l.Context(), "work", id, nil)) {
			l.mutex.Lock()
			l.sent[id] = struct{}{}
			l.mutex.Unlock()
		}
		done := l.check("add", l.engine.Add(l.Context(), "t1", map[string]int64{"n": 1}))
		l.mutex.Lock()
		if done {
			l.added++
		} else {
			l.perhaps++
		}
		l.mutex.Unlock()
	}
}

// lookUp gives the revision of a record that holds what was acknowledged last, or something that may have been written since.
func (l *load) lookUp(name string, tried map[string]bool) uint64 {
	for {
		record, err := l.engine.Get(l.Context(), kind, name)
		if errors.Is(err, store.ErrUnavailable) {
			continue
		}
		l.mutex.Lock()
		defer l.mutex.Unlock()
		if value := string(record.Value); value != l.records[name] && !tried[value] {
			l.Errorf("%s holds %q (%v), acknowledged was %q", name, value, err, l.records[name])
		}
		return record.Revision
	}
}

// consume removes every other message that it receives; the rest comes again.
func (l *load) consume() {
	for n := 0; !l.stopped(); n++ {
		ctx, cancel := context.WithTimeout(l.Context(), 100*time.Millisecond)
		message, err := l.engine.Receive(ctx, "work", time.Second)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) || !l.check("receive", err) {
			continue
		}
		l.received(message)
		if n%2 == 0 {
			continue
		}
		l.remove(message)
	}
}

func (l *load) remove(message store.Message) {
	err := l.engine.Remove(l.Context(), message)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_, going := l.going[message.ID]
	switch {
	case errors.Is(err, store.ErrConflict): // too slow, as the server was away
	case errors.Is(err, store.ErrNotFound) && going:
	case l.check("remove", err):
		l.removed[message.ID] = struct{}{}
	default:
		l.going[message.ID] = struct{}{}
	}
}

func (l *load) received(message store.Message) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, removed := l.removed[message.ID]; removed {
		l.Errorf("message %s came after its removal", message.ID)
	}
}

// suffer brings each fault over the server once the load has written since the last.
func (l *load) suffer(server *server) {
	for _, fault := range []struct {
		name string
		run  func()
	}{
		{"crash", func() { server.kill(l.T); l.check("start", server.start()) }},
		{"short stop", func() { pause(l.T, server, 250*time.Millisecond) }},
		{"outage", func() { server.kill(l.T); time.Sleep(600 * time.Millisecond); l.check("start", server.start()) }},
		{"clients paused", func() { server.do(l.T, "CLIENT", "PAUSE", 250, "ALL"); server.do(l.T, "CLIENT", "UNPAUSE") }},
		{"long stop", func() { pause(l.T, server, 800*time.Millisecond) }},
		{"stop and crash", func() {
			server.signal(l.T, syscall.SIGSTOP)
			time.Sleep(150 * time.Millisecond)
			server.kill(l.T)
			l.check("start", server.start())
		}},
		{"connections cut", func() { server.do(l.T, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }},
		{"crash again", func() { server.kill(l.T); l.check("start", server.start()) }},
	} {
		before := l.acknowledged.Load()
		for deadline := time.Now().Add(patience); l.acknowledged.Load() < before+60; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				l.Fatalf("before %s: nothing is acknowledged any more", fault.name)
			}
		}
		fault.run()
	}
}

// Whatever befalls the server, what it has acknowledged is there afterwards, and nothing acts twice.
func TestNoAcknowledgedWriteIsLost(t *testing.T) {
	server := newServer(t)
	url := server.url("retry_for=400ms&read_timeout=100ms")
	l := &load{
		T: t, engine: open(t, url), stop: make(chan struct{}),
		records: make(map[string]string), sent: make(map[string]struct{}), removed: make(map[string]struct{}), going: make(map[string]struct{}),
	}
	changes, err := open(t, url).Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() { l.write(fmt.Sprint("w", i)) })
	}
	group.Go(l.consume)
	seen, watched := make(map[string]store.Change), make(chan struct{})
	wanted := make(chan map[string]string, 1)
	go func() {
		defer close(watched)
		watchUntil(t, changes, seen, wanted)
	}()
	l.suffer(server)
	close(l.stop)
	group.Wait()

	engine := open(t, server.url("")) // as another node finds it
	final := make(map[string]string)
	for name, value := range l.records {
		record, err := engine.Get(t.Context(), kind, name)
		if err != nil || string(record.Value) != value && !later(string(record.Value), value) {
			t.Errorf("%s holds %q, %v; acknowledged was %q", name, record.Value, err, value)
		}
		final[name] = string(record.Value)
	}
	wanted <- final
	<-watched
	totals, err := engine.Totals(t.Context(), "t1")
	if n := totals["n"]; err != nil || n < l.added || n > l.added+l.perhaps {
		t.Errorf("counter is %d, %v; acknowledged were %d, and %d perhaps", n, err, l.added, l.perhaps)
	}
	drain(t, engine, l)
	t.Logf("%d writes acknowledged, %d additions unknown", l.acknowledged.Load(), l.perhaps)
}

// later reports whether a value was tried after the acknowledged one.
func later(value, acknowledged string) bool {
	a, errA := strconv.Atoi(value)
	b, errB := strconv.Atoi(acknowledged)
	return errA == nil && errB == nil && a > b
}

// watchUntil reads changes until they have come to what is wanted.
func watchUntil(t *testing.T, changes <-chan store.Change, seen map[string]store.Change, wanted <-chan map[string]string) {
	var final map[string]string
	var before uint64
	timeout := time.NewTimer(time.Hour)
	for {
		select {
		case final = <-wanted:
			timeout.Reset(patience)
		case change, open := <-changes:
			if !open {
				t.Error("the watch ended")
				return
			}
			if change.Revision <= before {
				t.Errorf("revision %d came after %d", change.Revision, before)
			}
			before = change.Revision
			seen[change.Name] = change
		case <-timeout.C:
			t.Errorf("the watch has seen %v, and not come to %v", seen, final)
			return
		}
		reached := final != nil
		for name, value := range final {
			reached = reached && string(seen[name].Value) == value
		}
		if reached {
			return
		}
	}
}

// drain receives every message left and checks that those acknowledged and not removed are among them.
func drain(t *testing.T, engine *redis.Store, l *load) {
	depth, err := engine.Depth(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool)
	for len(left) < depth {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		message, err := engine.Receive(ctx, "work", time.Hour)
		cancel()
		if err != nil {
			t.Fatalf("%d of %d messages came: %v", len(left), depth, err)
		}
		l.received(message)
		left[message.ID] = true
	}
	for id := range l.sent {
		_, removed := l.removed[id]
		_, going := l.going[id]
		if !removed && !going && !left[id] {
			t.Errorf("message %s is lost", id)
		}
	}
}
