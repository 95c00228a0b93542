package scheduler

import "time"

// Status is how a Version stands.
type Status struct {
	Key                       Key
	Queued, InFlight          int
	Starting, Ready, Stopping int

	Waiting  string    // what is missing while there is no room for an Instance; empty: none is waited for
	Failure  string    // why the last Instance failed; empty: none did since the deployment
	FailedAt time.Time // when it did
	RetryAt  time.Time // before that no Instance is started; may lie in the past
}

// Status lists the Versions that are known, in order of deployment.
func (s *Scheduler) Status() []Status {
	all := make([]Status, 0, len(s.functions))
	for _, f := range s.functions {
		all = append(all, Status{
			Key: f.key, Queued: f.queued, InFlight: f.inFlight,
			Starting: f.count(starting), Ready: f.count(ready), Stopping: f.count(stopping),
			Waiting: f.blocked, Failure: f.failure, FailedAt: f.failedAt, RetryAt: f.retryAt,
		})
	}
	return all
}

// Next is when a Tick is due: an Instance will have idled long enough, or a failed start may be repeated.
// False: only other events matter.
func (s *Scheduler) Next() (time.Time, bool) {
	var next time.Time
	earlier := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, f := range s.functions {
		for _, i := range f.spare() {
			earlier(i.neededAt.Add(f.version.Spec.Scale.Idle))
		}
		// A start that the back-off holds up; one that waits for room or for another start is woken by events.
		waits := f.count(ready) == 0 && f.count(starting) > 0
		if f.failures > 0 && f.blocked == "" && !waits && len(f.ranked()) < f.target() {
			earlier(f.retryAt)
		}
	}
	return next, !next.IsZero()
}
