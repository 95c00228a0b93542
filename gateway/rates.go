package gateway

import (
	"fmt"
	"math"
	"sync"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
	"sluice/store"
)

// rates counts the calls of each tenant that has a limit. A tenant may save up one second's calls.
type rates struct{ limiters sync.Map } // tenant's name to *rate.Limiter

// take counts a call, or gives ErrLimit.
func (r *rates) take(tenant store.Tenant) error {
	limit := tenant.Limits.RequestsPerSecond
	if limit == 0 {
		return nil
	}
	burst := int(math.Ceil(limit))
	found, ok := r.limiters.Load(tenant.Name)
	if !ok {
		found, _ = r.limiters.LoadOrStore(tenant.Name, rate.NewLimiter(rate.Limit(limit), burst))
	}
	limiter := found.(*rate.Limiter)
	if limiter.Limit() != rate.Limit(limit) { // it was changed
		limiter.SetLimit(rate.Limit(limit))
		limiter.SetBurst(burst)
	}
	if !limiter.Allow() {
		return fmt.Errorf("%w: requests_per_second is %g", ErrLimit, limit)
	}
	return nil
}

// checkSize gives ErrLimit for a request that is larger than its tenant may send.
func checkSize(tenant store.Tenant, request *inference.ModelInferRequest) error {
	limit := tenant.Limits.RequestBytes
	if limit == 0 {
		return nil
	}
	if size := proto.Size(request); size > limit {
		return fmt.Errorf("%w: request_bytes is %d, the request has %d", ErrLimit, limit, size)
	}
	return nil
}
