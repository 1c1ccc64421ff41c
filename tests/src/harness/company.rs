//! Who runs beside whom: three tests for each CPU, since most wait for something now and then, and beside
//! them some that hardly do anything else.

use std::sync::{Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

/// So many run beside each other for each CPU. Two leave a quarter of the CPU time unused.
const BESIDE_PER_CPU: usize = 3;
/// Tests that wait have so many places for each CPU.
const WAITING_PER_CPU: usize = 2;

/// What a test can bear beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Others on the other CPUs.
    Beside,
    /// The same, and it needs no CPU for most of its time.
    Waiting,
    /// Nobody but those that wait.
    Alone,
    /// Nobody at all.
    Only,
}

/// How many run beside each other. One CPU is for one of them: so they can be run one by one.
const fn beside(cpus: usize) -> usize {
    if cpus == 1 { 1 } else { cpus * BESIDE_PER_CPU }
}

const fn waiting(cpus: usize) -> usize {
    cpus * WAITING_PER_CPU
}

/// The places that tests run in.
pub(super) struct Seats {
    /// Read by those that have neighbours, written by one that has none.
    neighbours: RwLock<()>,
    /// The same for those that wait.
    waiting_neighbours: RwLock<()>,
    beside: Pool,
    waiting: Pool,
}

/// A place, until it is dropped. What it holds is given back then.
pub(super) struct Seat<'a> {
    pool: Option<Taken<'a>>,
    beside: Option<RwLockReadGuard<'a, ()>>,
    alone: Option<RwLockWriteGuard<'a, ()>>,
    only: Option<RwLockWriteGuard<'a, ()>>,
}

impl Seats {
    /// For so many CPUs.
    pub fn new(cpus: usize) -> Self {
        Self {
            neighbours: RwLock::default(),
            waiting_neighbours: RwLock::default(),
            beside: Pool::of(beside(cpus)),
            waiting: Pool::of(waiting(cpus)),
        }
    }

    /// As many CPUs as this process may use.
    pub fn cpus() -> usize {
        thread::available_parallelism().map_or(1, Into::into)
    }

    /// How many threads it takes so that those that wait for a place are in nobody's way.
    pub fn threads(cpus: usize) -> usize {
        beside(cpus) + 2 * waiting(cpus)
    }

    /// Waits for a place.
    pub fn take(&self, company: Company) -> Seat<'_> {
        let mut place = Seat { pool: None, beside: None, alone: None, only: None };
        match company {
            Company::Alone => place.alone = Some(exclusive(&self.neighbours)),
            // In this order always, so that no two wait for each other.
            Company::Only => {
                place.alone = Some(exclusive(&self.neighbours));
                place.only = Some(exclusive(&self.waiting_neighbours));
            }
            Company::Beside => {
                place.pool = Some(self.beside.take());
                place.beside = Some(self.neighbours.read().unwrap_or_else(PoisonError::into_inner));
            }
            Company::Waiting => {
                place.pool = Some(self.waiting.take());
                place.beside = Some(self.waiting_neighbours.read().unwrap_or_else(PoisonError::into_inner));
            }
        }
        place
    }
}

fn exclusive(lock: &RwLock<()>) -> RwLockWriteGuard<'_, ()> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// A number of places.
struct Pool {
    free: Mutex<usize>,
    given_back: Condvar,
}

impl Pool {
    fn of(count: usize) -> Self {
        Self { free: Mutex::new(count), given_back: Condvar::new() }
    }

    fn take(&self) -> Taken<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.given_back.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Taken(self)
    }
}

/// A place of a pool.
struct Taken<'a>(&'a Pool);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

/// Puts as many of those that wait first as there are places for, and spreads the rest of them evenly. Those that bear
/// nobody beside them come before the others, so that nobody has to wait later until all others have ended. Otherwise
/// the order is kept.
pub(super) fn ordered<T>(all: Vec<T>, cpus: usize, company: impl Fn(&T) -> Company) -> Vec<T> {
    let (waiting, rest): (Vec<T>, Vec<T>) = all.into_iter().partition(|one| company(one) == Company::Waiting);
    let (mut others, last): (Vec<T>, Vec<T>) = rest.into_iter().partition(|one| company(one) == Company::Alone);
    others.extend(last);
    let mut waiting = waiting.into_iter();
    let mut ordered: Vec<T> = waiting.by_ref().take(self::waiting(cpus)).collect();
    let between = others.len() / (waiting.len() + 1);
    for (index, other) in others.into_iter().enumerate() {
        if between > 0 && index % between == between / 2 {
            ordered.extend(waiting.next());
        }
        ordered.push(other);
    }
    ordered.extend(waiting);
    ordered
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn one_that_waits_takes_no_place_of_the_others() {
        let places = Seats::new(1);
        let _alone = places.take(Company::Alone);
        let _one = places.take(Company::Waiting);
        let _other = places.take(Company::Waiting);
    }

    #[test]
    fn there_are_never_more_than_places_and_no_other_beside_one_alone() {
        let (places, now, most) = (Seats::new(4), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..40 {
                let (places, now, most) = (&places, &now, &most);
                scope.spawn(move || {
                    let company = if number % 5 == 0 { Company::Alone } else { Company::Beside };
                    let _place = places.take(company);
                    let here = now.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(company == Company::Beside || here == 1);
                    most.fetch_max(here, Ordering::SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 4 * BESIDE_PER_CPU);
    }

    #[test]
    fn one_that_is_the_only_one_waits_for_those_that_wait() {
        let places = Seats::new(1);
        let waiting = places.take(Company::Waiting);
        assert!(places.waiting_neighbours.try_write().is_err());
        drop(waiting);
        let _only = places.take(Company::Only);
        assert!(places.waiting_neighbours.try_read().is_err() && places.neighbours.try_read().is_err());
    }

    #[test]
    fn a_place_that_is_given_back_is_taken() {
        let places = Seats::new(1);
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            let place = places.take(Company::Beside);
            scope.spawn(|| {
                let _place = places.take(Company::Beside);
                sender.send(()).unwrap();
            });
            assert!(receiver.try_recv().is_err());
            drop(place);
            receiver.recv().unwrap();
        });
    }

    #[test]
    fn those_alone_come_before_the_others_and_those_that_wait_are_spread() {
        let company = |c: &char| match c {
            '0'..='9' => Company::Alone,
            'A'..='Z' => Company::Waiting,
            _ => Company::Beside,
        };
        let ordered = |text: &str| ordered(text.chars().collect(), 1, company).into_iter().collect::<String>();
        assert_eq!(ordered("abc1defABC2"), "AB12Cabcdef");
        assert_eq!(ordered("abc"), "abc");
        assert_eq!(ordered("aABC"), "ABaC");
        assert_eq!(ordered(""), "");
    }
}
