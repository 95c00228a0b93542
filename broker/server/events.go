package server

import "sluice/broker/lease"

// subscriptionEventsMax is how far a subscriber may fall behind.
const subscriptionEventsMax = 1024

// Subscription is a stream of what happens to Leases, in order, without tokens.
type Subscription struct {
	events chan lease.Event
	behind bool // set before events is closed
}

// Events is closed when the broker stops, when the subscriber falls too far behind, or by Unsubscribe.
func (s *Subscription) Events() <-chan lease.Event { return s.events }

// Behind tells, once Events is closed, whether events were lost.
func (s *Subscription) Behind() bool { return s.behind }

// Subscribe sees every event from now on. Unsubscribe ends it.
func (s *Server) Subscribe() *Subscription {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	made := &Subscription{events: make(chan lease.Event, subscriptionEventsMax)}
	if s.subscribers == nil { // stopped
		close(made.events)
		return made
	}
	s.subscribers[made] = struct{}{}
	return made
}

// Unsubscribe ends a Subscription; it may have ended already.
func (s *Server) Unsubscribe(from *Subscription) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.drop(from)
}

func (s *Server) drop(from *Subscription) {
	if _, open := s.subscribers[from]; open {
		delete(s.subscribers, from)
		close(from.events)
	}
}

// publish tells every subscriber. The caller holds the mutex, so that events keep their order.
func (s *Server) publish(e lease.Event) {
	e.Lease.Token = ""
	for to := range s.subscribers {
		select {
		case to.events <- e:
		default:
			to.behind = true
			s.drop(to)
		}
	}
}

func (s *Server) closeSubscriptions() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for from := range s.subscribers {
		s.drop(from)
	}
	s.subscribers = nil
}
