package runner

import "time"

// lull is how long it takes until lower numbers are told: with requests that follow each other, an Instance falls idle
// for moments that mean nothing, and telling of each costs as much as a request.
const lull = 50 * time.Millisecond

// failure is an endpoint that Demand has not been told of yet.
type failure struct {
	instance string
	err      error
}

// tellAndUnlock unlocks the lane and tells Demand of what matters. One goroutine tells at a time, and goes on until
// nothing is left to tell; so the last call has the last numbers, though no lock is held meanwhile.
func (l *lane) tellAndUnlock() {
	for !l.telling {
		failed := l.failed
		l.failed = nil
		queued, inFlight := len(l.queued)+len(l.waiters), l.inFlight
		changed := l.matters(queued, inFlight)
		if !changed && failed == nil {
			break
		}
		l.telling = true
		if changed {
			l.told.queued, l.told.inFlight = queued, inFlight
		}
		l.mu.Unlock()
		for _, f := range failed {
			l.runner.demand.EndpointFailed(l.key, f.instance, f.err)
		}
		if changed {
			l.runner.demand.Demand(l.key, queued, inFlight)
		}
		l.mu.Lock()
		l.telling = false
	}
	l.mu.Unlock()
}

// matters says whether numbers differ from those told and are to be told now: at once when one grows, else when the
// lull is over, which it begins.
func (l *lane) matters(queued, inFlight int) bool {
	lulled := l.lulled
	l.lulled = false
	switch {
	case queued == l.told.queued && inFlight == l.told.inFlight:
		return false
	case queued > l.told.queued || inFlight > l.told.inFlight || lulled || l.closed != nil:
		return true
	case !l.lulling:
		l.lulling = true
		l.lull.Reset(lull)
	}
	return false
}

// endLull runs when the lull is over.
func (l *lane) endLull() {
	l.update(nil, func() { l.lulling, l.lulled = false, true })
}
