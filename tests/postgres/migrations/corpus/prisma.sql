-- migration: prisma_new_model
-- CreateTable
CREATE TABLE "Tag" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "color" VARCHAR(7) NOT NULL DEFAULT '#000000',

    CONSTRAINT "Tag_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "_PostToTag" (
    "A" INTEGER NOT NULL,
    "B" INTEGER NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "Tag_name_key" ON "Tag"("name");

-- CreateIndex
CREATE UNIQUE INDEX "_PostToTag_AB_unique" ON "_PostToTag"("A", "B");

-- CreateIndex
CREATE INDEX "_PostToTag_B_index" ON "_PostToTag"("B");

-- AddForeignKey
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- migration: prisma_columns
/*
  Warnings:
  - You are about to drop the column `content` on the `Post` table; all its data will be lost.
*/
-- AlterTable
ALTER TABLE "Post" DROP COLUMN "content",
ADD COLUMN     "body" TEXT,
ADD COLUMN     "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
ALTER COLUMN "title" SET DATA TYPE VARCHAR(255);

-- AlterTable
ALTER TABLE "User" ALTER COLUMN "name" SET NOT NULL,
ALTER COLUMN "name" SET DEFAULT '';

-- AlterTable
ALTER TABLE "User" ALTER COLUMN "createdAt" DROP DEFAULT;

-- migration: prisma_columns_filled
UPDATE "User" SET "name" = 'x' WHERE "name" IS NULL;
ALTER TABLE "User" ALTER COLUMN "name" SET NOT NULL;
ALTER TABLE "User" ALTER COLUMN "name" SET DEFAULT '';
ALTER TABLE "User" ALTER COLUMN "createdAt" DROP DEFAULT;
ALTER TABLE "User" ALTER COLUMN "email" DROP NOT NULL;

-- migration: prisma_enum_recreated
-- AlterEnum
BEGIN;
CREATE TYPE "Role_new" AS ENUM ('USER', 'OWNER');
ALTER TABLE "User" ALTER COLUMN "role" DROP DEFAULT;
ALTER TABLE "User" ALTER COLUMN "role" TYPE "Role_new" USING ("role"::text::"Role_new");
ALTER TYPE "Role" RENAME TO "Role_old";
ALTER TYPE "Role_new" RENAME TO "Role";
DROP TYPE "Role_old";
ALTER TABLE "User" ALTER COLUMN "role" SET DEFAULT 'USER';
COMMIT;

-- migration: prisma_enum_recreated_without_transaction
CREATE TYPE "Role_new" AS ENUM ('USER', 'OWNER');
ALTER TABLE "User" ALTER COLUMN "role" DROP DEFAULT;
ALTER TABLE "User" ALTER COLUMN "role" TYPE "Role_new" USING ("role"::text::"Role_new");
ALTER TYPE "Role" RENAME TO "Role_old";
ALTER TYPE "Role_new" RENAME TO "Role";
DROP TYPE "Role_old";
ALTER TABLE "User" ALTER COLUMN "role" SET DEFAULT 'USER';
CREATE TABLE "After" ("id" INTEGER NOT NULL);

-- migration: prisma_enum_values
ALTER TYPE "Role" ADD VALUE 'OWNER';
ALTER TYPE "Role" ADD VALUE IF NOT EXISTS 'GUEST' BEFORE 'USER';
ALTER TYPE "Role" RENAME VALUE 'ADMIN' TO 'ROOT';

-- migration: prisma_relation_mode
DROP INDEX "User_email_key";
ALTER TABLE "Post" DROP CONSTRAINT "Post_authorId_fkey";
ALTER TABLE "Post" RENAME CONSTRAINT "Post_pkey" TO "Post_id_pkey";
ALTER INDEX "Post_id_pkey" RENAME TO "Post_pk";
ALTER TABLE "Post" RENAME TO "Article";
ALTER TABLE "Article" RENAME COLUMN "title" TO "headline";

-- migration: prisma_drop_model
ALTER TABLE "Post" DROP CONSTRAINT "Post_authorId_fkey";
DROP TABLE "Post";
DROP TABLE "User";
DROP TYPE "Role";

-- migration: prisma_redefine
ALTER TABLE "Post" ADD COLUMN "slug" TEXT;
UPDATE "Post" SET "slug" = lower("title");
ALTER TABLE "Post" ALTER COLUMN "slug" SET NOT NULL;
CREATE UNIQUE INDEX "Post_slug_key" ON "Post"("slug");
ALTER TABLE "Post" DROP COLUMN "title";

-- migration: prisma_many_to_many_names_longer_than_postgresql_keeps_them
CREATE TABLE "AVeryLongModelNameThatGoesOnAndOnAndOnUntilPostgresqlCutsItOffSomewhere" ("id" INTEGER NOT NULL);
CREATE INDEX "AVeryLongModelNameThatGoesOnAndOnAndOnUntilPostgresqlCutsItOffSomewhere_idx" ON "Post"("title");
ALTER TABLE "Post" ADD COLUMN "a_column_with_a_very_long_name_that_postgresql_will_certainly_cut_off_here" INT;

-- migration: prisma_schemas
CREATE SCHEMA IF NOT EXISTS "billing";
CREATE TABLE "billing"."Invoice" ("id" INTEGER NOT NULL, "user" INTEGER, CONSTRAINT "Invoice_pkey" PRIMARY KEY ("id"));
ALTER TABLE "billing"."Invoice" ADD CONSTRAINT "Invoice_user_fkey" FOREIGN KEY ("user") REFERENCES "public"."User"("id");
ALTER TABLE "public"."Post" SET SCHEMA "billing";
DROP TABLE "billing"."Invoice";

-- migration: prisma_extension
CREATE EXTENSION IF NOT EXISTS "citext";
ALTER TABLE "User" ALTER COLUMN "email" SET DATA TYPE CITEXT;
ALTER TABLE "User" ADD COLUMN "handle" CITEXT;
