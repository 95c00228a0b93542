package store

import (
	"context"
	"fmt"
	"time"
)

// Limits of a message.
const (
	MaxQueueNameBytes = 256
	MaxMessageIDBytes = 128
	MaxMessageBytes   = 4 << 20
	// MaxHidden is the longest time that a message may be kept from other receivers at once.
	MaxHidden = 24 * time.Hour
)

// Message is what a Queue hands out. The ID is its sender's choice; SentAt is by the engine's clock.
type Message struct {
	Queue   string
	ID      string
	Payload []byte
	Attempt int // deliveries so far, this one included: 1 or more
	SentAt  time.Time
}

// Queue keeps messages until somebody says that they are done with, and delivers each at least once: a message whose
// receiver neither removes nor hides it in time is delivered again. Queues are made by their first message. A call that
// returned nil has reached stable storage. All methods are safe for concurrent use. A name, ID, payload or time out of
// its limits gives ErrInvalid; an engine that is out of reach gives ErrUnavailable.
type Queue interface {
	// Send adds a message to the end of a queue. While a message of that ID is in the queue it changes nothing, so
	// that a sender who got an error may send again.
	Send(ctx context.Context, queue, id string, payload []byte) error

	// Receive takes the message that has been due for longest and hides it from other receivers for a time of at least
	// 1 ms. If none is due it waits for one until ctx ends or the engine is out of reach.
	Receive(ctx context.Context, queue string, hidden time.Duration) (Message, error)

	// Hide sets when a received message is due again, from now; 0 gives it back at once. ErrConflict if it has been
	// delivered again since, ErrNotFound if it was removed.
	Hide(ctx context.Context, message Message, hidden time.Duration) error

	// Remove ends a message that its receiver is done with. ErrConflict if it has been delivered again since,
	// ErrNotFound if it was removed.
	Remove(ctx context.Context, message Message) error

	// Depth counts the messages of a queue, hidden ones included.
	Depth(ctx context.Context, queue string) (int, error)
}

// CheckMessage reports whether a queue's name, a message's ID and its payload keep to the limits, for implementations;
// the error wraps ErrInvalid.
func CheckMessage(queue, id string, payload []byte) error {
	switch {
	case id == "" || len(id) > MaxMessageIDBytes:
		return fmt.Errorf("%w: message ID: %d bytes, must be 1 to %d", ErrInvalid, len(id), MaxMessageIDBytes)
	case len(payload) > MaxMessageBytes:
		return fmt.Errorf("%w: payload: %d bytes are over the limit of %d", ErrInvalid, len(payload), MaxMessageBytes)
	}
	return CheckQueue(queue)
}

// CheckQueue reports whether a queue's name keeps to the limits, for implementations; the error wraps ErrInvalid.
func CheckQueue(queue string) error {
	if queue == "" || len(queue) > MaxQueueNameBytes {
		return fmt.Errorf("%w: queue: %d bytes, must be 1 to %d", ErrInvalid, len(queue), MaxQueueNameBytes)
	}
	return nil
}

// CheckHidden reports whether a time to hide a message keeps to the limits, for implementations; the error wraps
// ErrInvalid.
func CheckHidden(hidden, atLeast time.Duration) error {
	if hidden < atLeast || hidden > MaxHidden {
		return fmt.Errorf("%w: hidden: %v, must be %v to %v", ErrInvalid, hidden, atLeast, MaxHidden)
	}
	return nil
}
