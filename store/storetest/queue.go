package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/store"
)

const (
	queue = "work"
	// long hides a message for longer than a test runs.
	long = time.Hour
	// short is how long a test waits for what must not come, and hides what must come again.
	short = 30 * time.Millisecond
)

// RunQueue checks that what the factory makes keeps to store.Queue.
func RunQueue(t *testing.T, factory Factory) {
	tests{
		"SendReceiveRemove":       testQueueOrder,
		"SameIDIsSentOnce":        testQueueSameID,
		"HiddenUntilDue":          testQueueHidden,
		"HideGivesBackAndPutsOff": testQueueHide,
		"ReceiveWaits":            testQueueWaits,
		"ReceiveEnds":             testQueueEnds,
		"QueuesAreApart":          testQueuesApart,
		"ReopenKeepsMessages":     testQueueReopen,
		"ConcurrentReceivers":     testQueueConcurrent,
		"LimitsAreChecked":        testQueueLimits,
		"ClosedRefuses":           testQueueClosed,
	}.run(t, factory)
}

func send(t *testing.T, engine store.Queue, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := engine.Send(t.Context(), queue, id, []byte("payload of "+id)); err != nil {
			t.Fatalf("send %s: %v", id, err)
		}
	}
}

func receive(t *testing.T, engine store.Queue, id string, attempt int, hidden time.Duration) store.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	message, err := engine.Receive(ctx, queue, hidden)
	if err != nil {
		t.Fatalf("receive %s: %v", id, err)
	}
	if message.Queue != queue || message.ID != id || message.Attempt != attempt || string(message.Payload) != "payload of "+id || message.SentAt.IsZero() {
		t.Fatalf("received %+v, want %s at attempt %d", message, id, attempt)
	}
	return message
}

func receiveNothing(t *testing.T, engine store.Queue, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	message, err := engine.Receive(ctx, queue, long)
	expect(t, err, context.DeadlineExceeded, fmt.Sprintf("receive %s (message %q)", why, message.ID))
}

func depth(t *testing.T, engine store.Queue, wanted int) {
	t.Helper()
	if got, err := engine.Depth(t.Context(), queue); err != nil || got != wanted {
		t.Errorf("depth is %d, %v; want %d", got, err, wanted)
	}
}

func testQueueOrder(t *testing.T, factory Factory) {
	engine := open(t, factory)
	depth(t, engine, 0)
	var ids []string
	for i := range 12 {
		ids = append(ids, fmt.Sprint("m", i))
	}
	send(t, engine, ids...)
	depth(t, engine, len(ids))
	for i, id := range ids {
		message := receive(t, engine, id, 1, long)
		depth(t, engine, len(ids)-i)
		if err := engine.Remove(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		expect(t, engine.Remove(t.Context(), message), store.ErrNotFound, "remove of a removed message")
	}
	depth(t, engine, 0)
	receiveNothing(t, engine, "from an emptied queue")
}

func testQueueSameID(t *testing.T, factory Factory) {
	engine := open(t, factory)
	send(t, engine, "a", "b", "a")
	depth(t, engine, 2)
	if err := engine.Send(t.Context(), queue, "a", []byte("other")); err != nil {
		t.Fatal(err)
	}
	message := receive(t, engine, "a", 1, long)
	send(t, engine, "a") // hidden is still in the queue
	receive(t, engine, "b", 1, long)
	receiveNothing(t, engine, "of a message sent twice")
	if err := engine.Remove(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	send(t, engine, "a")
	receive(t, engine, "a", 1, long)
}

func testQueueHidden(t *testing.T, factory Factory) {
	engine := open(t, factory)
	send(t, engine, "a")
	first := receive(t, engine, "a", 1, short)
	second := receive(t, engine, "a", 2, long)
	if !second.SentAt.Equal(first.SentAt) {
		t.Errorf("sent at %v, then at %v", first.SentAt, second.SentAt)
	}
	expect(t, engine.Remove(t.Context(), first), store.ErrConflict, "remove by a receiver that was too slow")
	expect(t, engine.Hide(t.Context(), first, long), store.ErrConflict, "hide by a receiver that was too slow")
	receiveNothing(t, engine, "of a hidden message")
	if err := engine.Remove(t.Context(), second); err != nil {
		t.Error(err)
	}
}

func testQueueHide(t *testing.T, factory Factory) {
	engine := open(t, factory)
	send(t, engine, "a")
	message := receive(t, engine, "a", 1, long)
	for attempt := 2; attempt < 4; attempt++ {
		if err := engine.Hide(t.Context(), message, 0); err != nil {
			t.Fatal(err)
		}
		message = receive(t, engine, "a", attempt, long)
	}
	if err := engine.Hide(t.Context(), message, short); err != nil {
		t.Fatal(err)
	}
	message = receive(t, engine, "a", 4, 10*short)
	if err := engine.Hide(t.Context(), message, long); err != nil {
		t.Fatal(err)
	}
	receiveNothing(t, engine, "of a message put off")
	if err := engine.Remove(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	expect(t, engine.Hide(t.Context(), message, 0), store.ErrNotFound, "hide of a removed message")
}

func testQueueWaits(t *testing.T, factory Factory) {
	engine := open(t, factory)
	received := make(chan store.Message)
	for range 2 {
		go func() {
			message, err := engine.Receive(t.Context(), queue, long)
			if err != nil {
				t.Error(err)
			}
			received <- message
		}()
	}
	var ids []string
	for _, id := range []string{"a", "b"} {
		send(t, engine, id)
		select {
		case message := <-received:
			ids = append(ids, message.ID)
		case <-time.After(patience):
			t.Fatal("a waiting receiver got nothing")
		}
	}
	if !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("received %q", ids)
	}
}

func testQueueEnds(t *testing.T, factory Factory) {
	engine := factory(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	go func() {
		_, err := engine.Receive(ctx, queue, long)
		results <- err
	}()
	cancel()
	expect(t, <-results, context.Canceled, "receive whose context ended")
	go func() {
		_, err := engine.Receive(t.Context(), queue, long)
		results <- err
	}()
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, <-results, store.ErrClosed, "receive from a closed store")
}

func testQueuesApart(t *testing.T, factory Factory) {
	engine := open(t, factory)
	for _, other := range []string{"work/2", "wor", "!", "\xff{}*"} {
		if err := engine.Send(t.Context(), other, "a", nil); err != nil {
			t.Fatal(err)
		}
		message, err := engine.Receive(t.Context(), other, long)
		if err != nil || message.Queue != other || message.ID != "a" || len(message.Payload) != 0 {
			t.Errorf("received %+v, %v", message, err)
		}
	}
	depth(t, engine, 0)
	receiveNothing(t, engine, "of another queue's message")
	if records, err := engine.List(t.Context(), kind, ""); err != nil || len(records) != 0 {
		t.Errorf("messages show as records: %v, %v", records, err)
	}
}

func testQueueReopen(t *testing.T, factory Factory) {
	folder := t.TempDir()
	engine := factory(t, folder)
	send(t, engine, "a", "b", "c")
	done := receive(t, engine, "a", 1, long)
	hidden := receive(t, engine, "b", 1, long)
	if err := engine.Remove(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	engine = factory(t, folder)
	defer engine.Close()
	depth(t, engine, 2)
	receive(t, engine, "c", 1, long)
	receiveNothing(t, engine, "of a message hidden before")
	if err := engine.Hide(t.Context(), hidden, 0); err != nil {
		t.Fatal(err)
	}
	receive(t, engine, "b", 2, long)
}

func testQueueConcurrent(t *testing.T, factory Factory) {
	const senders, receivers, each = 3, 3, 12
	engine := open(t, factory)
	var group sync.WaitGroup
	var mutex sync.Mutex
	seen := make(map[string]int)
	for s := range senders {
		group.Go(func() {
			for i := range each {
				if err := engine.Send(t.Context(), queue, fmt.Sprintf("%d-%d", s, i), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range receivers {
		group.Go(func() {
			for range senders * each / receivers {
				message, err := engine.Receive(t.Context(), queue, long)
				if err == nil {
					err = engine.Remove(t.Context(), message)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mutex.Lock()
				seen[message.ID]++
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	if len(seen) != senders*each {
		t.Errorf("%d messages were received, want %d: %v", len(seen), senders*each, seen)
	}
	depth(t, engine, 0)
}

func testQueueLimits(t *testing.T, factory Factory) {
	engine := open(t, factory)
	ctx := t.Context()
	longest := strings.Repeat("q", store.MaxQueueNameBytes)
	expect(t, engine.Send(ctx, "", "a", nil), store.ErrInvalid, "empty queue")
	expect(t, engine.Send(ctx, longest+"q", "a", nil), store.ErrInvalid, "long queue")
	expect(t, engine.Send(ctx, queue, "", nil), store.ErrInvalid, "empty ID")
	expect(t, engine.Send(ctx, queue, strings.Repeat("i", store.MaxMessageIDBytes+1), nil), store.ErrInvalid, "long ID")
	expect(t, engine.Send(ctx, queue, "a", make([]byte, store.MaxMessageBytes+1)), store.ErrInvalid, "long payload")
	for _, hidden := range []time.Duration{-1, 0, store.MaxHidden + 1} {
		_, err := engine.Receive(ctx, queue, hidden)
		expect(t, err, store.ErrInvalid, fmt.Sprintf("receive hidden for %v", hidden))
	}
	expect(t, engine.Hide(ctx, store.Message{Queue: queue, ID: "a", Attempt: 1}, -1), store.ErrInvalid, "hide for a negative time")
	_, err := engine.Depth(ctx, "")
	expect(t, err, store.ErrInvalid, "depth of an empty queue's name")
	payload := []byte(strings.Repeat("\x00\xff", store.MaxMessageBytes/2))
	if err := engine.Send(ctx, longest, strings.Repeat("i", store.MaxMessageIDBytes), payload); err != nil {
		t.Fatalf("a message at the limits: %v", err)
	}
	if message, err := engine.Receive(ctx, longest, store.MaxHidden); err != nil || string(message.Payload) != string(payload) {
		t.Errorf("received %d bytes, %v", len(message.Payload), err)
	}
}

func testQueueClosed(t *testing.T, factory Factory) {
	engine := factory(t, t.TempDir())
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, engine.Send(t.Context(), queue, "a", nil), store.ErrClosed, "send")
	_, err := engine.Receive(t.Context(), queue, long)
	expect(t, err, store.ErrClosed, "receive")
	expect(t, engine.Remove(t.Context(), store.Message{Queue: queue, ID: "a", Attempt: 1}), store.ErrClosed, "remove")
	_, err = engine.Depth(t.Context(), queue)
	expect(t, err, store.ErrClosed, "depth")
}
