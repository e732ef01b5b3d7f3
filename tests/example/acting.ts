// The example of docs/how-to/acting-as.md: with Prisma.
import { createHmac } from "node:crypto";

export function actingAs(prisma, user, key, work) {
  const claims = JSON.stringify({ sub: user, exp: Math.floor(Date.now() / 1000) + 300 });
  const signature = createHmac("sha256", key).update(claims).digest("hex");
  return prisma.$transaction(async (tx) => {
    await tx.$queryRaw`
      select set_config('tabsync.claims', ${claims}, true), set_config('tabsync.signature', ${signature}, true)`;
    return work(tx);
  });
}

export function rename(prisma, user, name, key) {
  return actingAs(prisma, user, key, (tx) => tx.user.update({ where: { id: user }, data: { fullName: name } }));
}
