package cloudtrail

import "bytes"

// class is what an object turns out to be.
type class uint8

const (
	classOther class = iota
	classEvent
	classRecords
	classLogs
	classEventBridge
	classDigest
	classS3Notification
	classS3Test
	classSNS
	classSQS
	classNotice
	classLambda
)

// String says what an object is that is not a CloudTrail event, as the reason
// of an item.
func (c class) String() string {
	switch c {
	case classRecords:
		return "a Records file inside another envelope"
	case classLogs:
		return "a CloudWatch Logs message inside another envelope"
	case classDigest:
		return "a CloudTrail digest file"
	case classS3Notification:
		return "an S3 event notification: it names a file and holds no event"
	case classS3Test:
		return "an S3 test notification"
	case classSNS:
		return "an SNS message: not unwrapped, turn raw message delivery on"
	case classSQS:
		return "an SQS message: not unwrapped"
	case classNotice:
		return "a CloudTrail log file notice: it names a file and holds no event"
	case classLambda:
		return "a record of an AWS Lambda trigger, not a CloudTrail event"
	default:
		return "not a CloudTrail event"
	}
}

// classify reads ev up to the key that decides what it is. For Records files
// and CloudWatch Logs messages array is where the array of Records or logEvents
// begins, if it came to it: it stops before them, for they are long and perhaps
// broken.
func (r *run) classify() (c class, array int) {
	ev := r.ev
	record := false // by its other keys it is a record, or nothing
	for {
		if !record {
			switch ev.letterAhead() {
			case 'R':
				if at := ev.arrayAhead(`"Records"`); at > 0 {
					return classRecords, at
				}
			case 'l':
				if at := ev.arrayAhead(`"logEvents"`); at > 0 {
					return classLogs, at
				}
			}
		}
		f, ok := ev.next()
		if !ok {
			return classOther, 0
		}
		kind := ev.at[f].kind
		switch {
		case f == fieldOther:
		case f == fieldEventName && kind == String, f == fieldEventSource && kind == String:
			return r.foreignRecord(), 0
		case f == fieldInsightDetails && kind == Object:
			return classEvent, 0
		case f == fieldEventVersion, f == fieldUserIdentity:
			record = true
		case !record:
			if c, array = ev.envelopeOf(f); c != classOther {
				return c, array
			}
		}
	}
}

// envelopeOf says which envelope the field f is a sign of, classOther if none.
func (e *Event) envelopeOf(f field) (c class, array int) {
	s := e.at[f]
	switch f {
	case fieldRecords:
		if s.kind == Array { // its key is written with escapes
			array = s.start
		}
		return classRecords, array
	case fieldLogEvents:
		if s.kind == Array {
			array = s.start
		}
		return classLogs, array
	case fieldMessageType:
		return classLogs, 0
	case fieldDetailType:
		return classEventBridge, 0
	case fieldDigestStartTime, fieldDigestEndTime, fieldDigestS3Object:
		return classDigest, 0
	case fieldEvent:
		if s.kind == String && bytes.HasPrefix(e.text(s), []byte("s3:")) {
			return classS3Test, 0
		}
	case fieldType:
		if s.kind == String {
			switch string(e.text(s)) {
			case "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation":
				return classSNS, 0
			}
		}
	case fieldSNS:
		return classSNS, 0
	case fieldBody, fieldReceiptHandle:
		return classSQS, 0
	case fieldS3Object:
		return classNotice, 0
	default: // a field of no envelope
	}
	return classOther, 0
}

// foreignRecord tells a CloudTrail event from the records that other services
// write in its likeness: their eventSource is aws:s3 or the like, where
// CloudTrail writes a service's host name. ev has a string eventName or eventSource.
func (r *run) foreignRecord() class {
	ev := r.ev
	if ev.seen&(1<<fieldEventSource) == 0 {
		// Only their event names hold a colon, so the source need not be sought
		// for the others.
		if bytes.IndexByte(ev.Name(), ':') < 0 {
			return classEvent
		}
	}
	switch source := ev.Source(); {
	case !bytes.HasPrefix(source, []byte("aws:")):
		return classEvent
	case string(source) == "aws:s3":
		return classS3Notification
	case string(source) == "aws:sqs":
		return classSQS
	default:
		return classLambda
	}
}

// letterAhead returns the first letter of the next key.
func (e *Event) letterAhead() byte {
	if e.pos+1 < len(e.raw) {
		return e.raw[e.pos+1]
	}
	return 0
}

// arrayAhead returns where the array begins that is the value of the next key,
// if that is the given one, quotes included; otherwise 0.
func (e *Event) arrayAhead(key string) int {
	if e.pos == 0 || e.closed || e.pos+len(key) > len(e.raw) || string(e.raw[e.pos:e.pos+len(key)]) != key {
		return 0
	}
	i := skipSpace(e.raw, e.pos+len(key))
	if i == len(e.raw) || e.raw[i] != ':' {
		return 0
	}
	i = skipSpace(e.raw, i+1)
	if i == len(e.raw) || e.raw[i] != '[' {
		return 0
	}
	return i
}
