package redis

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

var (
	//go:embed scripts/send.lua
	sendSource string
	//go:embed scripts/receive.lua
	receiveSource string
	//go:embed scripts/settle.lua
	settleSource string

	sendScript    = redis.NewScript(sendSource)
	receiveScript = redis.NewScript(receiveSource)
	settleScript  = redis.NewScript(settleSource)
)

func (s *Store) queueKeys(queue string, more ...string) []string {
	of := "queue:" + queue + ":"
	return s.keys(append([]string{of + "messages", of + "states", of + "due"}, more...)...)
}

// Send implements store.Queue.
func (s *Store) Send(ctx context.Context, queue, id string, payload []byte) error {
	if err := errors.Join(ctx.Err(), store.CheckMessage(queue, id, payload)); err != nil {
		return err
	}
	_, err := s.run(ctx, sendScript, s.queueKeys(queue, "sequence", "bell"), bellLength, queue, id, payload)
	return err
}

// Receive implements store.Queue. Times are by the server's clock.
func (s *Store) Receive(ctx context.Context, queue string, hidden time.Duration) (store.Message, error) {
	if err := errors.Join(store.CheckQueue(queue), store.CheckHidden(hidden, time.Millisecond)); err != nil {
		return store.Message{}, err
	}
	rung, unsubscribe := s.bells.subscribe(queueBell(queue))
	defer unsubscribe()
	for {
		if err := ctx.Err(); err != nil {
			return store.Message{}, err
		}
		answer, err := s.run(ctx, receiveScript, s.queueKeys(queue), hidden.Milliseconds())
		if err != nil {
			return store.Message{}, err
		}
		message, wait, err := decodeMessage(queue, answer)
		if err != nil || message.Attempt > 0 {
			return message, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.lifetime.Done():
			timer.Stop()
			return store.Message{}, store.ErrClosed
		case <-timer.C:
		case <-rung:
		}
		timer.Stop()
	}
}

// decodeMessage gives the message, or how long to wait for one at most.
func decodeMessage(queue string, answer any) (store.Message, time.Duration, error) {
	parts, _ := answer.([]any)
	if len(parts) == 1 {
		wait, _ := parts[0].(int64)
		if wait < 0 {
			return store.Message{}, store.MaxHidden, nil
		}
		return store.Message{}, time.Duration(wait) * time.Millisecond, nil
	}
	if len(parts) != 5 {
		return store.Message{}, 0, errReply
	}
	id, _ := parts[1].(string)
	payload, _ := parts[2].(string)
	attempt, err1 := number(parts[3])
	sent, err2 := number(parts[4])
	return store.Message{
		Queue: queue, ID: id, Payload: []byte(payload), Attempt: int(attempt), SentAt: time.UnixMilli(int64(sent)),
	}, 0, errors.Join(err1, err2)
}

// Hide implements store.Queue.
func (s *Store) Hide(ctx context.Context, message store.Message, hidden time.Duration) error {
	if err := store.CheckHidden(hidden, 0); err != nil {
		return err
	}
	return s.settle(ctx, message, strconv.FormatInt(hidden.Milliseconds(), 10))
}

// Remove implements store.Queue.
func (s *Store) Remove(ctx context.Context, message store.Message) error {
	return s.settle(ctx, message, "")
}

func (s *Store) settle(ctx context.Context, message store.Message, hidden string) error {
	if err := errors.Join(ctx.Err(), store.CheckMessage(message.Queue, message.ID, nil)); err != nil {
		return err
	}
	keys := s.queueKeys(message.Queue, "bell")
	answer, err := s.run(ctx, settleScript, keys, bellLength, message.Queue, message.ID, message.Attempt, hidden)
	switch {
	case err != nil:
		return err
	case answer == "ok":
		return nil
	case answer == "gone":
		return fmt.Errorf("message %q: %w", message.ID, store.ErrNotFound)
	case answer == "taken":
		return fmt.Errorf("message %q: %w: delivered again", message.ID, store.ErrConflict)
	}
	return errReply
}

// Depth implements store.Queue.
func (s *Store) Depth(ctx context.Context, queue string) (int, error) {
	if err := errors.Join(ctx.Err(), store.CheckQueue(queue)); err != nil {
		return 0, err
	}
	var depth int64
	err := s.try(ctx, func(ctx context.Context) (err error) {
		depth, err = s.client.HLen(ctx, s.queueKeys(queue)[0]).Result()
		return err
	})
	return int(depth), err
}
