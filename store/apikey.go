package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	apiKeyPrefix      = "sluice_"
	apiKeyRandomBytes = 32
	// MaxAPIKeyBytes bounds what a caller may send as a key.
	MaxAPIKeyBytes = 128
	// MaxAPIKeyLabelBytes bounds what a tenant may call a key.
	MaxAPIKeyLabelBytes = 128
)

// NewAPIKey makes a key for a tenant. The secret is what the caller sends; only the record may be kept.
func NewAPIKey(tenant, label string, now time.Time) (secret string, key APIKey, err error) {
	if err := CheckName("tenant", tenant); err != nil {
		return "", APIKey{}, err
	}
	if len(label) > MaxAPIKeyLabelBytes {
		return "", APIKey{}, fmt.Errorf("%w: label: %d bytes are over the limit of %d", ErrInvalid, len(label), MaxAPIKeyLabelBytes)
	}
	var random [apiKeyRandomBytes]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	secret = apiKeyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, APIKey{Hash: HashAPIKey(secret), Tenant: tenant, Label: label, CreatedAt: now.UTC()}, nil
}

// HashAPIKey is the record name of a key. A plain SHA-256 is enough: the key is random and 256 bits long.
func HashAPIKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Authenticate gives the tenant that a key stands for, or ErrNotFound.
func Authenticate(ctx context.Context, registry Registry, secret string) (Tenant, error) {
	if secret == "" || len(secret) > MaxAPIKeyBytes {
		return Tenant{}, fmt.Errorf("API key: %w", ErrNotFound)
	}
	key, _, err := Load[APIKey](ctx, registry, HashAPIKey(secret))
	if err != nil {
		return Tenant{}, err
	}
	tenant, _, err := Load[Tenant](ctx, registry, key.Tenant)
	return tenant, err
}
