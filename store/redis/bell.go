package redis

import (
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// bellLength is how many changes the bell's stream holds.
	bellLength = 256
	// bellPeriod is the longest time for which whoever waits does not look by himself.
	bellPeriod = 5 * time.Second
	bellField  = "changed"
)

// Names under which the scripts ring.
func recordBell(kind string) string { return "record " + kind }
func queueBell(queue string) string { return "queue " + queue }

// bells wakes those who wait for a change of what they named.
type bells struct {
	mutex   sync.Mutex
	waiting map[string]map[chan struct{}]struct{}
}

// subscribe gives a channel that holds a token once the bell has rung since the last was taken.
func (b *bells) subscribe(name string) (rung <-chan struct{}, unsubscribe func()) {
	channel := make(chan struct{}, 1)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.waiting == nil {
		b.waiting = make(map[string]map[chan struct{}]struct{})
	}
	if b.waiting[name] == nil {
		b.waiting[name] = make(map[chan struct{}]struct{})
	}
	b.waiting[name][channel] = struct{}{}
	return channel, func() {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		delete(b.waiting[name], channel)
		if len(b.waiting[name]) == 0 {
			delete(b.waiting, name)
		}
	}
}

func (b *bells) ring(name string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for channel := range b.waiting[name] {
		offer(channel)
	}
}

func (b *bells) ringAll() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, channels := range b.waiting {
		for channel := range channels {
			offer(channel)
		}
	}
}

func offer(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// listen reads the bell's stream until Close. A stream, unlike a subscription, still has what was rung while the
// connection was lost; if that may be more than it holds, everybody is woken.
func (s *Store) listen() {
	last := "0-0"
	for backoff := backoffFirst; s.lifetime.Err() == nil; {
		streams, err := s.client.XRead(s.lifetime, &redis.XReadArgs{
			Streams: []string{s.key("bell"), last}, Count: bellLength, Block: bellPeriod,
		}).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			select {
			case <-s.lifetime.Done():
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, backoffMax)
			continue
		}
		backoff = backoffFirst
		if err != nil || len(streams) == 0 || len(streams[0].Messages) == bellLength {
			s.bells.ringAll()
		}
		for _, stream := range streams {
			for _, message := range stream.Messages {
				last = message.ID
				if name, ok := message.Values[bellField].(string); ok {
					s.bells.ring(name)
				}
			}
		}
	}
}
