package txn

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// kind is what an error of a broker means for a transaction.
type kind uint8

const (
	away       kind = iota // no answer, or one that says "later"
	aborted                // this transaction is over, the next one may do better
	membership             // the group refused the member
	fenced                 // the ID, or its epoch, is not ours any more
	forbidden              // an operator can allow it
	hopeless               // these records will never be taken
)

func classify(err error) kind {
	is := func(errs ...*kerr.Error) bool {
		for _, e := range errs {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	switch {
	case is(kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.RebalanceInProgress,
		kerr.StaleMemberEpoch, kerr.FencedMemberEpoch, kerr.GroupIDNotFound, kerr.MemberIDRequired):
		return membership
	case is(kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState):
		return fenced
	case is(kerr.TransactionalIDAuthorizationFailed, kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed):
		return forbidden
	case is(kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.OffsetMetadataTooLarge,
		kerr.InvalidTimestamp, kerr.InvalidTransactionTimeout):
		return hopeless
	}
	if ke, ok := errors.AsType[*kerr.Error](err); ok && !ke.Retriable && ke != kerr.UnknownServerError && ke != kerr.ConcurrentTransactions {
		return aborted
	}
	return away
}
