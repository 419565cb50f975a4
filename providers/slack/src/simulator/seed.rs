//! Believable talk, the same for the same seed.

use super::SlackSim;

const PEOPLE: &[&str] =
    &["Ada Moreau", "Ben Okafor", "Chidi Larsen", "Dana Whitfield", "Emre Yildiz", "Farah Novak", "Gil Santos", "Hana Ito"];
const CHANNELS: &[&str] = &["general", "engineering", "support", "launch", "random"];
const OPENINGS: &[&str] = &[
    "The export for the northern region is late again, can somebody look?",
    "Draft of the release notes is up, comments until Thursday please.",
    "Customer asks whether invoices can carry a second address.",
    "Staging is slow since this morning.",
    "Who has the contract with the printing house?",
    "Numbers of last week: 412 new sign-ups, 18 cancellations.",
    "I am out tomorrow, Ben covers the on-call phone.",
    "The new landing page goes live at 14:00.",
];
const ANSWERS: &[&str] = &[
    "On it.",
    "Found it: a stuck job. Restarted.",
    "Thanks, looks good to me.",
    "Can we talk about it at noon?",
    "Done.",
    "Not yet, waiting for finance.",
];
const EMOJI: &[&str] = &["+1", "eyes", "tada", "white_check_mark"];
const MESSAGES: usize = 240;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<'a, T: AsRef<str>>(&mut self, from: &'a [T]) -> &'a str {
        from[self.roll(from.len())].as_ref()
    }
}

pub(super) fn fill(sim: &SlackSim, seed: u64) {
    let mut dice = Dice(seed);
    let people: Vec<String> = PEOPLE.iter().zip(1..).map(|(name, n)| sim.add_user(&format!("U0{n:03}"), name)).collect();
    sim.add_user("USLACKBOT", "Slackbot");
    let channels: Vec<String> = CHANNELS.iter().zip(1..).map(|(name, n)| sim.add_channel(&format!("C0{n:03}"), name)).collect();
    for _ in 0..MESSAGES {
        let (channel, user) = (dice.pick(&channels), dice.pick(&people));
        if dice.roll(12) == 0 {
            sim.post_as_bot(channel, "B0DEPLOY", "Deploy bot", &format!("Build {} is live.", 4000 + dice.roll(900)));
            continue;
        }
        let ts = sim.post(channel, user, dice.pick(OPENINGS));
        if dice.roll(3) == 0 {
            for _ in 0..=dice.roll(4) {
                sim.reply(channel, &ts, dice.pick(&people), dice.pick(ANSWERS));
            }
        }
        if dice.roll(4) == 0 {
            sim.react(channel, &ts, dice.pick(&people), dice.pick(EMOJI));
        }
    }
}
