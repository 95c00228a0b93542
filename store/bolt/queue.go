package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"sluice/store"
)

// A queue is a bucket of three: messages (ID to payload), states (ID to state as JSON) and due, whose keys sort by the
// time at which a message is due (nanoseconds) and the order of sending, 8 bytes each, big endian; its values are IDs.
const (
	messagesBucket = "messages"
	statesBucket   = "states"
	dueBucket      = "due"
)

// state is what changes of a message; Due and Sequence are its key in the due bucket.
type state struct {
	Due      int64  `json:"due"`
	Sequence uint64 `json:"sequence"`
	Attempt  int    `json:"attempt"`
	SentAt   int64  `json:"sent_at"` // Unix time in nanoseconds
}

func (s state) key() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(s.Due)), s.Sequence)
}

// queueBuckets is one queue within a transaction.
type queueBuckets struct{ messages, states, due *bbolt.Bucket }

// openQueue gives nil where there is no such queue.
func openQueue(tx *bbolt.Tx, name string) *queueBuckets {
	bucket := tx.Bucket([]byte(queuesBucket)).Bucket([]byte(name))
	if bucket == nil {
		return nil
	}
	return &queueBuckets{bucket.Bucket([]byte(messagesBucket)), bucket.Bucket([]byte(statesBucket)), bucket.Bucket([]byte(dueBucket))}
}

func makeQueue(tx *bbolt.Tx, name string) (*queueBuckets, error) {
	bucket, err := tx.Bucket([]byte(queuesBucket)).CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return nil, err
	}
	for _, part := range []string{messagesBucket, statesBucket, dueBucket} {
		if _, err := bucket.CreateBucketIfNotExists([]byte(part)); err != nil {
			return nil, err
		}
	}
	return openQueue(tx, name), nil
}

func (q *queueBuckets) state(id []byte) (s state, err error) {
	if err := json.Unmarshal(q.states.Get(id), &s); err != nil {
		return s, fmt.Errorf("state of message %q: %w", id, err)
	}
	return s, nil
}

// keep writes a message's state, and moves it to its place in the due bucket.
func (q *queueBuckets) keep(id []byte, before *state, now state) error {
	if before != nil {
		if err := q.due.Delete(before.key()); err != nil {
			return err
		}
	}
	encoded, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return errors.Join(q.states.Put(id, encoded), q.due.Put(now.key(), id))
}

// Send implements store.Queue.
func (s *Store) Send(ctx context.Context, queue, id string, payload []byte) error {
	if err := errors.Join(ctx.Err(), store.CheckMessage(queue, id, payload)); err != nil {
		return err
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		q, err := makeQueue(tx, queue)
		if err != nil || q.states.Get([]byte(id)) != nil {
			return err
		}
		sequence, err := q.messages.NextSequence()
		if err != nil {
			return err
		}
		now := time.Now().UnixNano()
		if err := q.messages.Put([]byte(id), payload); err != nil {
			return err
		}
		return q.keep([]byte(id), nil, state{Due: now, Sequence: sequence, SentAt: now})
	})
	if err == nil {
		s.bell.ring()
	}
	return translate(err)
}

// Receive implements store.Queue.
func (s *Store) Receive(ctx context.Context, queue string, hidden time.Duration) (store.Message, error) {
	if err := errors.Join(store.CheckQueue(queue), store.CheckHidden(hidden, time.Millisecond)); err != nil {
		return store.Message{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return store.Message{}, err
		}
		rung := s.bell.wait() // before the look at the queue, so that no message is missed between
		wait, err := s.untilDue(queue)
		if err != nil {
			return store.Message{}, translate(err)
		}
		if wait <= 0 {
			message, err := s.take(queue, hidden)
			if err != nil || message.Attempt > 0 {
				return message, translate(err)
			}
			continue // another receiver was quicker
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.closing:
			timer.Stop()
			return store.Message{}, store.ErrClosed
		case <-timer.C:
		case <-rung:
		}
		timer.Stop()
	}
}

// untilDue is the time until the queue's next message is due: not above 0 if one is, store.MaxHidden if there is none.
func (s *Store) untilDue(queue string) (wait time.Duration, err error) {
	wait = store.MaxHidden
	err = s.db.View(func(tx *bbolt.Tx) error {
		if q := openQueue(tx, queue); q != nil {
			if key, _ := q.due.Cursor().First(); key != nil {
				wait = time.Duration(int64(binary.BigEndian.Uint64(key)) - time.Now().UnixNano())
			}
		}
		return nil
	})
	return wait, err
}

// take delivers the queue's first message, or the zero Message if none is due.
func (s *Store) take(queue string, hidden time.Duration) (message store.Message, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		q := openQueue(tx, queue)
		now := time.Now().UnixNano()
		key, id := q.due.Cursor().First()
		if key == nil || int64(binary.BigEndian.Uint64(key)) > now {
			return nil
		}
		id = bytes.Clone(id) // the place that it stands in is about to be deleted
		before, err := q.state(id)
		if err != nil {
			return err
		}
		after := before
		after.Due, after.Attempt = now+int64(hidden), before.Attempt+1
		if err := q.keep(id, &before, after); err != nil {
			return err
		}
		message = store.Message{
			Queue: queue, ID: string(id), Payload: bytes.Clone(q.messages.Get(id)),
			Attempt: after.Attempt, SentAt: time.Unix(0, after.SentAt),
		}
		return nil
	})
	return message, err
}

// Hide implements store.Queue.
func (s *Store) Hide(ctx context.Context, message store.Message, hidden time.Duration) error {
	if err := store.CheckHidden(hidden, 0); err != nil {
		return err
	}
	err := s.settle(ctx, message, func(q *queueBuckets, id []byte, before state) error {
		after := before
		after.Due = time.Now().UnixNano() + int64(hidden)
		return q.keep(id, &before, after)
	})
	if err == nil {
		s.bell.ring()
	}
	return err
}

// Remove implements store.Queue.
func (s *Store) Remove(ctx context.Context, message store.Message) error {
	return s.settle(ctx, message, func(q *queueBuckets, id []byte, before state) error {
		return errors.Join(q.due.Delete(before.key()), q.states.Delete(id), q.messages.Delete(id))
	})
}

// settle changes a message that still belongs to its receiver.
func (s *Store) settle(ctx context.Context, message store.Message, change func(q *queueBuckets, id []byte, before state) error) error {
	if err := errors.Join(ctx.Err(), store.CheckMessage(message.Queue, message.ID, nil)); err != nil {
		return err
	}
	id := []byte(message.ID)
	return translate(s.db.Update(func(tx *bbolt.Tx) error {
		q := openQueue(tx, message.Queue)
		if q == nil || q.states.Get(id) == nil {
			return fmt.Errorf("message %q: %w", message.ID, store.ErrNotFound)
		}
		before, err := q.state(id)
		if err != nil {
			return err
		}
		if before.Attempt != message.Attempt {
			return fmt.Errorf("message %q: %w: delivered again", message.ID, store.ErrConflict)
		}
		return change(q, id, before)
	}))
}

// Depth implements store.Queue.
func (s *Store) Depth(ctx context.Context, queue string) (depth int, err error) {
	if err := errors.Join(ctx.Err(), store.CheckQueue(queue)); err != nil {
		return 0, err
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		if q := openQueue(tx, queue); q != nil {
			depth = q.due.Inspect().KeyN
		}
		return nil
	})
	return depth, translate(err)
}

// bell wakes every waiting receiver of this process.
type bell struct {
	mutex sync.Mutex
	next  chan struct{}
}

// wait gives a channel that the next ring closes.
func (b *bell) wait() <-chan struct{} {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.next
}

func (b *bell) ring() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}
