package runner

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
		l.told.queued, l.told.inFlight = queued, inFlight
		l.telling = true
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

// matters says whether numbers differ from those told so that scaling may change: at zero, when they grow, and when
// the queue has halved.
func (l *lane) matters(queued, inFlight int) bool {
	return (queued == 0) != (l.told.queued == 0) || (inFlight == 0) != (l.told.inFlight == 0) ||
		queued > l.told.queued || inFlight > l.told.inFlight || queued < l.told.queued/2
}
